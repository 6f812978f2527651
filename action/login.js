'use strict';

// Logins in ~/.docker/config.json, for tools that call no credential helper and ignore
// DOCKER_CONFIG. actions/attest reads only "auths" of that file (sigstore/sigstore-js,
// packages/oci/src/credentials.ts). "docker login" is not enough: where the file names a helper
// for the registry, it hands the password to that helper and writes an empty entry.

const crypto = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const { userFolder } = require('./dockerconfig.js');

// login writes a login for each registry, and returns the file that has them. auths is by
// registry: { auth }. The file note gets what logout needs: what was there before, and digests of
// the logins. It is written first, so that logout finds whatever was done.
function login(auths, note, env) {
  const folder = userFolder(env);
  if (!folder) {
    throw new Error('docker-login is true, and there is no home directory');
  }
  fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
  const named = path.join(folder, 'config.json');
  const found = fs.lstatSync(named, { throwIfNoEntry: false });
  // A link stays one; one that leads nowhere is an error.
  const file = found ? fs.realpathSync(named) : named;
  const config = found ? read(file) : {};
  const logins = Object.entries(auths).map(([registry, { auth }]) => {
    return { registry, sum: digest(auth), before: config.auths?.[registry] };
  });
  const mode = found ? fs.statSync(file).mode & 0o777 : undefined;
  const had = Boolean(config.auths);
  fs.writeFileSync(note, JSON.stringify({ file, mode, had, logins }), { mode: 0o600 });
  // Ours come first, because attest takes the first key that contains the registry.
  write(file, { ...config, auths: { ...auths, ...config.auths, ...auths } }, 0o600);
  return named;
}

// logout takes back what login did. A login that is no longer the one that login wrote stays.
function logout(note) {
  if (!fs.existsSync(note)) {
    return;
  }
  const { file, mode, had, logins } = JSON.parse(fs.readFileSync(note, 'utf8'));
  fs.rmSync(note);
  const config = fs.existsSync(file) ? read(file) : {};
  const ours = logins.filter(({ registry, sum }) => sum === digest(config.auths?.[registry]?.auth || ''));
  for (const { registry, before } of ours) {
    delete config.auths[registry];
    Object.assign(config.auths, before && { [registry]: before });
  }
  if (ours.length > 0 && !had && Object.keys(config.auths).length === 0) {
    delete config.auths;
  }
  if (ours.length > 0 && mode === undefined && Object.keys(config).length === 0) {
    fs.rmSync(file);
  } else if (ours.length > 0) {
    write(file, config, mode ?? 0o600);
  }
}

function digest(text) {
  return crypto.createHash('sha256').update(text).digest('hex');
}

// read does not show what JSON.parse says: that quotes the file, which may have logins.
function read(file) {
  const text = fs.readFileSync(file, 'utf8');
  let config;
  try {
    config = JSON.parse(text);
  } catch {
    // as below
  }
  if (typeof config !== 'object' || config === null || Array.isArray(config)) {
    throw new Error(`${file} is not a JSON object`);
  }
  return config;
}

// write replaces a file in one step.
function write(file, config, mode) {
  const temporary = `${file}.${crypto.randomUUID()}`;
  try {
    fs.writeFileSync(temporary, JSON.stringify(config, null, '\t'), { mode: 0o600, flag: 'wx' });
    fs.chmodSync(temporary, mode);
    fs.renameSync(temporary, file);
  } catch (error) {
    fs.rmSync(temporary, { force: true });
    throw error;
  }
}

module.exports = { login, logout };
