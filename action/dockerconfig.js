'use strict';

// Prepares Docker's configuration and the helper's settings for a job, and restores the previous
// state. This file only copies configuration files. The command configure edits them.

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { firstLine, run } = require('./exec.js');

const prefix = 'docker-credential-ecr-oidc-';
const stateFile = '.job.json'; // in the job's directory: mode and user directory, for later calls

// open prepares the configuration for a job. Later calls in the same job return the directory of the
// first call. mode is the input docker-config:
//
//   job:  creates a directory in RUNNER_TEMP, and sets DOCKER_CONFIG to it
//   user: changes the user's config.json; only the helper's settings are in a directory in
//         RUNNER_TEMP, and ECR_OIDC_CONFIG names them
//
// It returns:
//
//   folder     the job's directory
//   docker     the directory of config.json
//   created    whether this call created folder
//   variables  environment variables for configure and doctor
//   exports    environment variables for later steps
//   before     the previous values of exports
function open(mode, env) {
  const job = findFolder(env.DOCKER_CONFIG, 'job', env.RUNNER_TEMP);
  if (mode === 'user' && job) {
    throw new Error('docker-config is user, but job in an earlier step of this job; ' +
      'use the same value in both');
  }
  const settingsFolder = env.ECR_OIDC_CONFIG && path.dirname(env.ECR_OIDC_CONFIG);
  const earlier = mode === 'job' ? job : findFolder(settingsFolder, 'user', env.RUNNER_TEMP);
  if (earlier) {
    return { ...describe(mode, earlier.folder, earlier.user), created: false, exports: {}, before: {} };
  }
  const user = env.DOCKER_CONFIG ? path.resolve(env.DOCKER_CONFIG) : userFolder(env);
  if (mode === 'user' && !user) {
    throw new Error('docker-config is user, but neither HOME nor DOCKER_CONFIG is set');
  }
  const folder = fs.mkdtempSync(path.join(env.RUNNER_TEMP, prefix)); // 0700
  try {
    return { ...describe(mode, folder, user), created: true, ...fill(mode, folder, user, env) };
  } catch (error) {
    fs.rmSync(folder, { recursive: true, force: true }); // it may contain logins
    throw error;
  }
}

// fill copies configuration files to a new directory. It returns exports and before of open.
function fill(mode, folder, user, env) {
  fs.writeFileSync(path.join(folder, stateFile), JSON.stringify({ mode, user }), { mode: 0o600 });
  const settings = path.join(folder, 'ecr-oidc.yaml');
  const copied = copySettings(env.ECR_OIDC_CONFIG, user, settings);
  const exports = {};
  const before = {};
  if (mode === 'job') {
    exports.DOCKER_CONFIG = folder;
    before.DOCKER_CONFIG = user;
    if (user) {
      copyUserConfig(user, folder);
    }
    if (user && !env.BUILDX_CONFIG) { // so that buildx finds the user's builders
      exports.BUILDX_CONFIG = path.join(user, 'buildx');
    }
  }
  // The helper finds the settings next to the job's config.json unless ECR_OIDC_CONFIG is set.
  if (mode === 'user' || env.ECR_OIDC_CONFIG) {
    if (!copied) {
      fs.writeFileSync(settings, '', { mode: 0o600 });
    }
    exports.ECR_OIDC_CONFIG = settings;
    before.ECR_OIDC_CONFIG = env.ECR_OIDC_CONFIG || '';
  }
  return { exports, before };
}

// describe returns folder, docker and variables of open.
function describe(mode, folder, user) {
  const docker = mode === 'job' ? folder : user;
  // configure writes the settings next to config.json unless ECR_OIDC_CONFIG names a file.
  const settings = mode === 'job' ? '' : path.join(folder, 'ecr-oidc.yaml');
  return { folder, docker, variables: { DOCKER_CONFIG: docker, ECR_OIDC_CONFIG: settings } };
}

// findFolder returns the directory of an earlier call in this job with the same mode, and the user's
// directory. It returns undefined for any other directory.
function findFolder(folder, mode, temp) {
  if (!folder || path.dirname(path.resolve(folder)) !== path.resolve(temp) ||
    !path.basename(folder).startsWith(prefix)) {
    return undefined;
  }
  try {
    const state = JSON.parse(fs.readFileSync(path.join(folder, stateFile), 'utf8'));
    return state.mode === mode ? { folder, user: state.user } : undefined;
  } catch {
    return undefined;
  }
}

// userFolder returns Docker's default configuration directory, or '' if the user has no home directory.
function userFolder(env, system = process.platform) {
  let home = system === 'win32' ? env.USERPROFILE : env.HOME;
  try {
    home = home || os.userInfo().homedir; // without HOME, Docker reads the user database too
  } catch {
    return ''; // the user of a container may not be in the database
  }
  return home ? path.join(home, '.docker') : '';
}

// copyUserConfig copies config.json, with the logins of other registries, the contexts with their
// keys, and the CLI plugins.
function copyUserConfig(from, to) {
  copyFile(path.join(from, 'config.json'), path.join(to, 'config.json'));
  copyFolder(path.join(from, 'contexts'), path.join(to, 'contexts'));
  // A copy, not a link: setup-buildx-action overwrites buildx in this directory, and would follow a
  // link to the user's file (docker/actions-toolkit, installPlugin). FICLONE saves disk space where
  // the file system supports it.
  copyFolder(path.join(from, 'cli-plugins'), path.join(to, 'cli-plugins'),
    { mode: fs.constants.COPYFILE_FICLONE });
}

function copySettings(named, user, to) {
  if (named) {
    if (!copyFile(named, to)) {
      throw new Error(`ECR_OIDC_CONFIG is ${named}, which does not exist`);
    }
    return true;
  }
  return Boolean(user) && copyFile(path.join(user, 'ecr-oidc.yaml'), to);
}

// copyFile copies a file with mode 0600. It returns false if the file does not exist.
function copyFile(from, to) {
  let content;
  try {
    content = fs.readFileSync(from);
  } catch (error) {
    if (error.code === 'ENOENT') {
      return false;
    }
    throw error;
  }
  fs.writeFileSync(to, content, { mode: 0o600 });
  return true;
}

// copyFolder copies a directory if it exists. It follows a symlink at from, and copies symlinks in the
// directory as symlinks.
function copyFolder(from, to, options) {
  if (fs.existsSync(from)) {
    fs.cpSync(fs.realpathSync(from), to, { recursive: true, ...options });
  }
}

// restore undoes the changes of a call of main. The first argument is the state that main saved. It
// does not throw: it calls warn for each error.
function restore({ folder, docker, variables, created, binary, backups }, env, warn) {
  for (const backup of [...backups].reverse()) { // configure --restore requires the last change first
    if (!fs.existsSync(backup)) {
      continue; // main failed before this change
    }
    const result = run(binary, ['configure', '--restore', backup], { env: { ...env, ...variables } });
    if (result.code !== 0) {
      warn(`restoring ${path.join(docker, 'config.json')}: ${firstLine(result)}`);
    }
  }
  if (created) {
    try {
      fs.rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
    } catch (error) {
      warn(`removing ${folder}: ${error.message}`);
    }
  }
}

module.exports = { open, restore, userFolder };
