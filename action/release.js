'use strict';

const crypto = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const { extract } = require('./archive.js');
const { StatusError, download, isReachable } = require('./download.js');
const provenance = require('./provenance.js');
const { isLoopback } = require('./proxy.js');

const repository = 'ecr-oidc/docker-credential-ecr-oidc';
const tool = 'docker-credential-ecr-oidc';

// fetchRelease downloads an archive, checks its checksum and provenance, and extracts the binary. It
// returns { content, verified }. verified describes how the provenance was verified, or is '' if it was
// not.
async function fetchRelease({ version, token, verifyRequired }, platform, env, log) {
  const base = `${source(env)}/v${version}`;
  const name = `${tool}_${version}_${platform.name}.${platform.format}`;
  const get = async (file) => {
    try {
      return await download(`${base}/${file}`, env, log);
    } catch (error) {
      if (error instanceof StatusError && error.status === 404) {
        throw new Error(`${error.message}: release ${version} does not exist, ` +
          `or has no archive for ${platform.name}`);
      }
      throw error;
    }
  };
  const checksums = await get('checksums.txt');
  const want = checksum(checksums.toString('utf8'), name);
  if (!want) {
    throw new Error(`release ${version} has no archive for ${platform.name}: ` +
      `checksums.txt does not list ${name}`);
  }
  const archive = await get(name);
  const got = crypto.createHash('sha256').update(archive).digest('hex');
  if (got !== want) {
    throw new Error(`checksum mismatch: ${name} has ${got}, checksums.txt lists ${want}; ` +
      'nothing was installed');
  }
  log(`${name}: checksum verified`);

  const scratch = fs.mkdtempSync(path.join(env.RUNNER_TEMP, `${tool}-new-`));
  let found;
  try {
    const save = (file, content) => {
      const to = path.join(scratch, file);
      fs.writeFileSync(to, content, { mode: 0o600 });
      return to;
    };
    found = await provenance.verify(
      {
        repository,
        version,
        archive: save(name, archive),
        checksums: save('checksums.txt', checksums),
        bundle: async () => save('checksums.txt.sigstore.json', await get('checksums.txt.sigstore.json')),
      },
      {
        token,
        env,
        // A network with a mirror may have no access to GitHub.
        reachable: () => {
          return !env.ECR_OIDC_MIRROR || isReachable(env.GITHUB_API_URL || 'https://api.github.com', env);
        },
      },
    );
  } finally {
    fs.rmSync(scratch, { recursive: true, force: true });
  }
  const { verified, why } = found;
  if (!verified && verifyRequired) {
    throw new Error(
      `ECR_OIDC_VERIFY is required, but ${why}; install gh 2.67 or later and set github-token, ` +
        'or install cosign 2.4 or later',
    );
  }
  log(`${name}: provenance ${verified || `not verified: ${why}`}`);
  return { content: extract(archive, platform.format, platform.binary), verified };
}

// source returns the part of the release's URLs before /vVERSION/. It must be https, except on
// loopback: with http, an attacker in the network can replace both the archive and its checksum.
function source(env) {
  const mirror = (env.ECR_OIDC_MIRROR || '').trim();
  if (!mirror) {
    return `https://github.com/${repository}/releases/download`;
  }
  let url;
  try {
    url = new URL(mirror);
  } catch {
    throw new Error('ECR_OIDC_MIRROR is not a URL; it must begin with https://'); // may contain a password
  }
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isLoopback(url.hostname))) {
    throw new Error(`ECR_OIDC_MIRROR begins with ${url.protocol}; it must be https://`);
  }
  return mirror.replace(/\/+$/, '');
}

// checksum returns the checksum of a file from the output of sha256sum, or '' if it is not listed.
function checksum(text, name) {
  for (const line of text.split(/\r?\n/)) {
    const [, sum, file] = /^([0-9a-fA-F]{64}) [ *](.+)$/.exec(line) || [];
    if (file === name) {
      return sum.toLowerCase();
    }
  }
  return '';
}

module.exports = { checksum, fetchRelease, source };
