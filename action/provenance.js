'use strict';

// Verifies that this repository's release workflow built a release, at the release's tag. gh verifies
// the archive's provenance attestation. cosign verifies the signature of checksums.txt. Without gh and
// cosign, only the checksum is checked. If one of them fails, the other is not tried.

const timers = require('node:timers/promises');
const { firstLine, run, which } = require('./exec.js');

const issuer = 'https://token.actions.githubusercontent.com';
const timeout = 120_000; // ms

// signer returns the identity in the certificate of a release.
function signer(repository, version) {
  return `https://github.com/${repository}/.github/workflows/release.yml@refs/tags/v${version}`;
}

// verify returns { verified, why }. verified describes how the release was verified. If neither gh nor
// cosign can verify it, verified is '' and why is the reason. If verification fails, verify throws an
// error.
//
// release has repository, version, archive and checksums (file paths), and bundle, a function that
// downloads the signature of checksums.txt and returns its path. reachable returns whether GitHub's API
// can be reached.
async function verify(release, { token, env, reachable }) {
  const identity = signer(release.repository, release.version);
  const gh = which('gh', env);
  // The release is at github.com, which does not accept the token of an Enterprise Server.
  const onGitHub = (env.GITHUB_SERVER_URL || 'https://github.com') === 'https://github.com';
  if (gh && token && onGitHub && hasAttestation(gh, env) && (await reachable())) {
    const ghEnv = { ...env, GH_TOKEN: token, GH_HOST: 'github.com', GH_PROMPT_DISABLED: '1' };
    await verifyWithGh(gh, identity, release, ghEnv);
    return { verified: `verified by gh: built by ${identity}` };
  }
  const cosign = which('cosign', env);
  const { flags, old } = cosign ? cosignFlags(cosign, env) : {};
  if (flags) {
    await verifyWithCosign(cosign, flags, identity, release, await release.bundle(), env);
    return { verified: `verified by cosign: signed by ${identity}` };
  }
  const version = old ? ` (cosign is version ${old}; version 2.4 or later is required)` : '';
  return { verified: '', why: `neither gh with a token nor cosign is available${version}` };
}

// hasAttestation reports whether gh has the command "attestation verify", which older versions do not.
function hasAttestation(gh, env) {
  return run(gh, ['attestation', 'verify', '--help'], { env, timeout }).code === 0;
}

const networkError = /HTTP (429|5\d\d)|timed? ?out|connection|no such host|\bEOF\b/i;

// runWithRetries runs a program, and retries it after a network error.
async function runWithRetries(program, args, env) {
  for (let n = 1; ; n++) {
    const result = run(program, args, { env, timeout });
    if (result.code === 0 || n === 3 || !networkError.test(result.stderr)) {
      return result;
    }
    await timers.setTimeout(n * 1000);
  }
}

async function verifyWithGh(gh, identity, { repository, archive }, env) {
  const args = ['attestation', 'verify', archive, '--repo', repository, '--cert-identity', identity,
    '--cert-oidc-issuer', issuer, '--deny-self-hosted-runners', '--format', 'json'];
  const result = await runWithRetries(gh, args, env);
  if (result.code !== 0) {
    throw new Error(
      `gh attestation verify: ${firstLine(result)}; the release may not be genuine; ` +
        'if GitHub is unavailable, github-token: "" skips gh',
    );
  }
  // gh before 2.67 exits with 0 if there is no attestation (GO-2025-3467). It prints the attestations
  // that it has verified.
  let verified;
  try {
    verified = JSON.parse(result.stdout);
  } catch {
    // reported below
  }
  if (!Array.isArray(verified) || verified.length === 0) {
    throw new Error('gh attestation verify: there is no attestation for this archive; ' +
      'the release may not be genuine');
  }
}

// cosignFlags returns { flags }, the flags with which cosign reads a Sigstore bundle. cosign 2.4 and
// later 2.x need a flag, cosign 3 does not. For older versions, it returns { old }, the version. A
// cosign without a version was built from source and is treated as cosign 3. install.sh and install.ps1
// do the same.
function cosignFlags(cosign, env) {
  const { stdout } = run(cosign, ['version'], { env, timeout });
  const [, major, minor] = (/GitVersion:\s+v?(\d+)\.(\d+)/.exec(stdout) || [0, 3, 0]).map(Number);
  if (major < 2 || (major === 2 && minor < 4)) {
    return { old: `${major}.${minor}` };
  }
  return { flags: major === 2 ? ['--new-bundle-format'] : [] };
}

async function verifyWithCosign(cosign, flags, identity, { checksums }, bundle, env) {
  const args = ['verify-blob', ...flags, '--bundle', bundle, '--certificate-identity', identity,
    '--certificate-oidc-issuer', issuer, checksums];
  const result = await runWithRetries(cosign, args, env);
  if (result.code !== 0) {
    throw new Error(`cosign verify-blob: ${firstLine(result)}; the release may not be genuine`);
  }
}

module.exports = { verify };
