'use strict';

// Writes logins to ~/.docker/config.json, for tools that call no credential helper and ignore
// DOCKER_CONFIG. actions/attest reads only "auths" of that file (sigstore/sigstore-js,
// packages/oci/src/credentials.ts). "docker login" does not help: if the file names a credential
// helper for the registry, it passes the password to that helper and writes an empty entry.

const crypto = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const { userFolder } = require('./dockerconfig.js');

// login writes a login for each registry and returns the path of config.json. auths maps a registry to
// { auth }. login first writes the state that logout needs to stateFile: the previous entries and
// digests of the logins.
function login(auths, stateFile, env) {
  const folder = userFolder(env);
  if (!folder) {
    throw new Error('docker-login is true, but the user has no home directory');
  }
  fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
  const named = path.join(folder, 'config.json');
  const found = fs.lstatSync(named, { throwIfNoEntry: false });
  // A symlink is not replaced. A dangling symlink is an error.
  const file = found ? fs.realpathSync(named) : named;
  const config = found ? read(file) : {};
  const logins = Object.entries(auths).map(([registry, { auth }]) => {
    return { registry, digest: digest(auth), before: config.auths?.[registry] };
  });
  const mode = found ? fs.statSync(file).mode & 0o777 : undefined;
  const hadAuths = Boolean(config.auths);
  fs.writeFileSync(stateFile, JSON.stringify({ file, mode, hadAuths, logins }), { mode: 0o600 });
  // The new logins come first, because attest uses the first key that contains the registry.
  write(file, { ...config, auths: { ...auths, ...config.auths, ...auths } }, 0o600);
  return named;
}

// logout removes the logins of login and restores the previous entries. It keeps a login that was
// changed since.
function logout(stateFile) {
  if (!fs.existsSync(stateFile)) {
    return;
  }
  const { file, mode, hadAuths, logins } = JSON.parse(fs.readFileSync(stateFile, 'utf8'));
  fs.rmSync(stateFile);
  const config = fs.existsSync(file) ? read(file) : {};
  const unchanged = logins.filter((login) => {
    return login.digest === digest(config.auths?.[login.registry]?.auth || '');
  });
  for (const { registry, before } of unchanged) {
    delete config.auths[registry];
    Object.assign(config.auths, before && { [registry]: before });
  }
  if (unchanged.length > 0 && !hadAuths && Object.keys(config.auths).length === 0) {
    delete config.auths;
  }
  if (unchanged.length > 0 && mode === undefined && Object.keys(config).length === 0) {
    fs.rmSync(file);
  } else if (unchanged.length > 0) {
    write(file, config, mode ?? 0o600);
  }
}

function digest(text) {
  return crypto.createHash('sha256').update(text).digest('hex');
}

// read parses config.json. It omits the error of JSON.parse, which quotes the file and so may contain
// a login.
function read(file) {
  const text = fs.readFileSync(file, 'utf8');
  let config;
  try {
    config = JSON.parse(text);
  } catch {
    // reported below
  }
  if (typeof config !== 'object' || config === null || Array.isArray(config)) {
    throw new Error(`${file} is not a JSON object`);
  }
  return config;
}

// write replaces a file atomically.
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
