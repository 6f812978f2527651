'use strict';

// Who built a release: its own release workflow, at its own tag, and nobody else. Two programs can tell, gh by the
// provenance that GitHub keeps for the archive, and cosign by the signature of the checksums. Where neither is here,
// the checksums are all there is. Where one says no, that is the answer.

const timers = require('node:timers/promises');
const { firstLine, run, which } = require('./exec.js');

const issuer = 'https://token.actions.githubusercontent.com';
const timeout = 120_000;

// signer is who the certificate must name.
function signer(repository, version) {
  return `https://github.com/${repository}/.github/workflows/release.yml@refs/tags/v${version}`;
}

// verify returns how the release was verified, in words, as verified, which is '' where nothing here can do it; why then
// says what is missing. It throws where one that can says no. release has repository, version, archive and
// checksums (paths of files) and bundle, which gets the path of the checksums' signature; reachable says whether
// GitHub's API can be asked at all.
async function verify(release, { token, env, reachable }) {
  const identity = signer(release.repository, release.version);
  const gh = which('gh', env);
  // An older gh has no such verb. The token of an Enterprise Server is no use at github.com, where the release is.
  if (gh && token && (env.GITHUB_SERVER_URL || 'https://github.com') === 'https://github.com' && hasVerb(gh, env) && (await reachable())) {
    await byGh(gh, identity, release, { ...env, GH_TOKEN: token, GH_HOST: 'github.com', GH_PROMPT_DISABLED: '1' });
    return { verified: `verified by gh as built by ${identity}` };
  }
  const cosign = which('cosign', env);
  const { flags, old } = cosign ? aboutCosign(cosign, env) : {};
  if (flags) {
    await byCosign(cosign, flags, identity, release, await release.bundle(), env);
    return { verified: `verified by cosign as signed by ${identity}` };
  }
  const but = old ? ` (cosign is ${old}; 2.4 is the first that can)` : '';
  return { verified: '', why: `neither gh with a token nor cosign is here that could${but}` };
}

function hasVerb(gh, env) {
  return run(gh, ['attestation', 'verify', '--help'], { env, timeout }).code === 0;
}

// ask runs a program that asks others over the network, and again when these could not be reached.
async function ask(program, args, env) {
  for (let n = 1; ; n++) {
    const result = run(program, args, { env, timeout });
    if (result.code === 0 || n === 3 || !/HTTP (429|5\d\d)|timed? ?out|connection|no such host|\bEOF\b/i.test(result.stderr)) {
      return result;
    }
    await timers.setTimeout(n * 1000);
  }
}

async function byGh(gh, identity, { repository, archive }, env) {
  const args = ['attestation', 'verify', archive, '--repo', repository, '--cert-identity', identity, '--cert-oidc-issuer', issuer];
  const result = await ask(gh, [...args, '--deny-self-hosted-runners', '--format', 'json'], env);
  if (result.code !== 0) {
    throw new Error(
      `gh attestation verify: ${firstLine(result)}; ` +
        `the release may not be ours; when GitHub alone is to blame, github-token: "" goes on without gh`,
    );
  }
  // gh before 2.67 ends with 0 where there is no attestation (GO-2025-3467); what it has verified, it prints.
  let verified;
  try {
    verified = JSON.parse(result.stdout);
  } catch {
    // nothing
  }
  if (!Array.isArray(verified) || verified.length === 0) {
    throw new Error('gh attestation verify: there is no attestation for this archive; the release may not be ours');
  }
}

// aboutCosign says by which flags this cosign is told that the bundle is in sigstore's format, which it reads from 2.4 on
// and takes for granted from 3 on; of an older one, its version as old. One that does not know its version was built by
// hand, and is new. install.sh and install.ps1 look at the same.
function aboutCosign(cosign, env) {
  const [, major, minor] = (/GitVersion:\s+v?(\d+)\.(\d+)/.exec(run(cosign, ['version'], { env, timeout }).stdout) || [0, 3, 0]).map(Number);
  if (major < 2 || (major === 2 && minor < 4)) {
    return { old: `${major}.${minor}` };
  }
  return { flags: major === 2 ? ['--new-bundle-format'] : [] };
}

async function byCosign(cosign, flags, identity, { checksums }, bundle, env) {
  const args = ['verify-blob', ...flags, '--bundle', bundle, '--certificate-identity', identity, '--certificate-oidc-issuer', issuer, checksums];
  const result = await ask(cosign, args, env);
  if (result.code !== 0) {
    throw new Error(`cosign verify-blob: ${firstLine(result)}; the release may not be ours`);
  }
}

module.exports = { verify };
