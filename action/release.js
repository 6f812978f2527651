'use strict';

const crypto = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const { extract } = require('./archive.js');
const { StatusError, answers, download } = require('./download.js');
const provenance = require('./provenance.js');
const { isLoopback } = require('./proxy.js');
const toolcache = require('./toolcache.js');

const repository = 'ecr-oidc/docker-credential-ecr-oidc';
const tool = 'docker-credential-ecr-oidc';

// install returns the path of the binary of a version: from the tool cache, or from the release, checked. Where it must
// be verified, one that was put into the tool cache without that is not taken.
async function install({ version, token, mustVerify }, platform, env, log) {
  const cached = toolcache.find(env, version, platform.cache, platform.binary);
  if (cached && (cached.verified || !mustVerify)) {
    log(`${tool} ${version}: from the tool cache, ${cached.file}; when it was put there, its provenance was ${cached.verified || 'not verified'}`);
    return cached.file;
  }
  const { content, verified } = await fetchRelease({ version, token, mustVerify }, platform, env, log);
  if (env.RUNNER_TOOL_CACHE) {
    try {
      return toolcache.put(env, version, platform.cache, platform.binary, content, verified);
    } catch (error) {
      log(`it is not kept in the tool cache: ${error.message}`); // which may belong to another user, in a container
    }
  }
  const file = path.join(fs.mkdtempSync(path.join(env.RUNNER_TEMP, `${tool}-bin-`)), platform.binary);
  toolcache.write(file, content);
  return file;
}

// fetchRelease downloads an archive, checks it, and returns the binary in it, and how its provenance was verified, ''
// when it was not. Nothing is unpacked before its checksum, and its provenance where that can be, is right.
async function fetchRelease({ version, token, mustVerify }, platform, env, log) {
  const base = `${source(env)}/v${version}`;
  const name = `${tool}_${version}_${platform.name}.${platform.format}`;
  const part = async (file) => {
    try {
      return await download(`${base}/${file}`, env, log);
    } catch (error) {
      if (error instanceof StatusError && error.status === 404) {
        throw new Error(`${error.message}: there is no release ${version}, or it has none for ${platform.name}`);
      }
      throw error;
    }
  };
  const checksums = await part('checksums.txt');
  const want = checksum(checksums.toString('utf8'), name);
  if (!want) {
    throw new Error(`release ${version} has none for ${platform.name}: checksums.txt does not list ${name}`);
  }
  const archive = await part(name);
  const got = crypto.createHash('sha256').update(archive).digest('hex');
  if (got !== want) {
    throw new Error(`the checksum of ${name} is wrong: checksums.txt has ${want}, the download ${got}; nothing of it was used`);
  }
  log(`${name}: the checksum is right`);

  const scratch = fs.mkdtempSync(path.join(env.RUNNER_TEMP, `${tool}-new-`));
  let found;
  try {
    const keep = (file, content) => {
      const to = path.join(scratch, file);
      fs.writeFileSync(to, content, { mode: 0o600 });
      return to;
    };
    found = await provenance.verify(
      {
        repository,
        version,
        archive: keep(name, archive),
        checksums: keep('checksums.txt', checksums),
        bundle: async () => keep('checksums.txt.sigstore.json', await part('checksums.txt.sigstore.json')),
      },
      {
        token,
        env,
        // With a mirror this may be a network from which GitHub is not to be reached.
        reachable: () => !env.ECR_OIDC_MIRROR || answers(env.GITHUB_API_URL || 'https://api.github.com', env),
      },
    );
  } finally {
    fs.rmSync(scratch, { recursive: true, force: true });
  }
  const { verified, why } = found;
  if (!verified && mustVerify) {
    throw new Error(
      `ECR_OIDC_VERIFY=required, and ${why}; install gh 2.67 or later and give this step a github-token, or install cosign 2.4 or later`,
    );
  }
  log(`${name}: its provenance is ${verified || `not verified, since ${why}; its checksum is right`}`);
  return { content: extract(archive, platform.format, platform.binary), verified };
}

// source is everything before /vVERSION/ in the release's addresses. It is https: over http whoever sits on the way puts
// in what they like, and a checksum to it. On loopback there is nobody on the way.
function source(env) {
  const mirror = (env.ECR_OIDC_MIRROR || '').trim();
  if (!mirror) {
    return `https://github.com/${repository}/releases/download`;
  }
  let url;
  try {
    url = new URL(mirror);
  } catch {
    throw new Error('ECR_OIDC_MIRROR is not a URL; it begins with https://'); // and may hold a password
  }
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isLoopback(url.hostname))) {
    throw new Error(`ECR_OIDC_MIRROR begins with ${url.protocol}; it must be https://`);
  }
  return mirror.replace(/\/+$/, '');
}

// checksum finds the line of a file in the output of sha256sum.
function checksum(text, name) {
  for (const line of text.split(/\r?\n/)) {
    const [, sum, file] = /^([0-9a-fA-F]{64}) [ *](.+)$/.exec(line) || [];
    if (file === name) {
      return sum.toLowerCase();
    }
  }
  return '';
}

module.exports = { checksum, install, source };
