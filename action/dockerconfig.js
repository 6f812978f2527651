'use strict';

// Where Docker's configuration and this helper's settings lie for a job, and how all of it is taken back. No file of
// Docker's is edited here: the folder is filled with copies, and configure edits.

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { firstLine, run } = require('./exec.js');

const prefix = 'docker-credential-ecr-oidc-';
const note = '.job.json'; // in the folder that a job's first call makes; it says what the later ones need to know

// open prepares the configuration for a job, or goes on with the one that an earlier call in this job made.
//
//   job:  a folder of its own below RUNNER_TEMP, which DOCKER_CONFIG then names
//   user: the user's own; only this helper's settings lie below RUNNER_TEMP, where ECR_OIDC_CONFIG then names them
//
// It returns { folder, docker, made, variables, exports, before }: the job's folder, the one with config.json, whether
// this call made the former, what configure and doctor need in their environment, what later steps need in theirs, and
// what that was before.
function open(mode, env) {
  const job = ours(env.DOCKER_CONFIG, 'job', env.RUNNER_TEMP);
  const earlier = mode === 'job' ? job : ours(env.ECR_OIDC_CONFIG && path.dirname(env.ECR_OIDC_CONFIG), 'user', env.RUNNER_TEMP);
  if (mode === 'user' && job) {
    throw new Error('docker-config is user, and an earlier step of this job said job: Docker looks into the job\'s folder now; say the same in both');
  }
  if (earlier) {
    return { ...place(mode, earlier.folder, earlier.user), made: false, exports: {}, before: {} };
  }
  const user = env.DOCKER_CONFIG ? path.resolve(env.DOCKER_CONFIG) : userFolder(env);
  if (mode === 'user' && !user) {
    throw new Error('docker-config is user, and neither HOME nor DOCKER_CONFIG is set');
  }
  const folder = fs.mkdtempSync(path.join(env.RUNNER_TEMP, prefix)); // 0700
  try {
    return { ...place(mode, folder, user), made: true, ...make(mode, folder, user, env) };
  } catch (error) {
    fs.rmSync(folder, { recursive: true, force: true }); // logins may be in it already
    throw error;
  }
}

// make fills a new folder, and returns what open does: exports and before.
function make(mode, folder, user, env) {
  fs.writeFileSync(path.join(folder, note), JSON.stringify({ mode, user }), { mode: 0o600 });
  const settings = path.join(folder, 'ecr-oidc.yaml');
  const seeded = seedSettings(env.ECR_OIDC_CONFIG, user, settings);
  const exports = {};
  const before = {};
  if (mode === 'job') {
    exports.DOCKER_CONFIG = folder;
    before.DOCKER_CONFIG = user;
    if (user) {
      seed(user, folder);
    }
    if (user && !env.BUILDX_CONFIG) { // builders that were made before this step, and those made after it, stay known
      exports.BUILDX_CONFIG = path.join(user, 'buildx');
    }
  }
  // Beside the job's config.json the settings are found by themselves, unless a variable names another file.
  if (mode === 'user' || env.ECR_OIDC_CONFIG) {
    if (!seeded) {
      fs.writeFileSync(settings, '', { mode: 0o600 });
    }
    exports.ECR_OIDC_CONFIG = settings;
    before.ECR_OIDC_CONFIG = env.ECR_OIDC_CONFIG || '';
  }
  return { exports, before };
}

function place(mode, folder, user) {
  const docker = mode === 'job' ? folder : user;
  // configure writes the settings beside config.json unless ECR_OIDC_CONFIG names a file.
  const settings = mode === 'job' ? '' : path.join(folder, 'ecr-oidc.yaml');
  return { folder, docker, variables: { DOCKER_CONFIG: docker, ECR_OIDC_CONFIG: settings } };
}

// ours reads the note in a folder that an earlier call of this job made; undefined for any other folder.
function ours(folder, mode, temp) {
  if (!folder || path.dirname(path.resolve(folder)) !== path.resolve(temp) || !path.basename(folder).startsWith(prefix)) {
    return undefined;
  }
  try {
    const noted = JSON.parse(fs.readFileSync(path.join(folder, note), 'utf8'));
    return noted.mode === mode ? { folder, user: noted.user } : undefined;
  } catch {
    return undefined;
  }
}

// userFolder is where Docker looks without DOCKER_CONFIG; '' for a user without a home.
function userFolder(env, system = process.platform) {
  let home = system === 'win32' ? env.USERPROFILE : env.HOME;
  try {
    home = home || os.userInfo().homedir; // a service without HOME: Docker, too, asks the user database then
  } catch {
    return ''; // a container's user that is in no database
  }
  return home ? path.join(home, '.docker') : '';
}

// seed copies what Docker needs of the user's folder, as it stands: config.json with other registries' logins and
// settings, contexts with their keys, and plugins.
function seed(from, to) {
  copyFile(path.join(from, 'config.json'), path.join(to, 'config.json'));
  copyFolder(path.join(from, 'contexts'), path.join(to, 'contexts'));
  // Not linked to: setup-buildx-action installs its buildx over the one in this folder, and would write through a link
  // into the user's (docker/actions-toolkit, installPlugin). Where the file system can, the copy shares the blocks.
  copyFolder(path.join(from, 'cli-plugins'), path.join(to, 'cli-plugins'), { mode: fs.constants.COPYFILE_FICLONE });
}

function seedSettings(named, user, to) {
  if (named) {
    if (!copyFile(named, to)) {
      throw new Error(`ECR_OIDC_CONFIG names ${named}, and there is no such file`);
    }
    return true;
  }
  return Boolean(user) && copyFile(path.join(user, 'ecr-oidc.yaml'), to);
}

// copyFile copies a file, for this user alone, and says whether there is one.
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

// copyFolder copies a folder; links in it stay links, but it may be one itself.
function copyFolder(from, to, options) {
  if (fs.existsSync(from)) {
    fs.cpSync(fs.realpathSync(from), to, { recursive: true, ...options });
  }
}

// undo takes back what a call did, from what main saved of it. It throws nothing: complain is told what went wrong.
function undo({ folder, docker, variables, made, binary, backups }, env, complain) {
  for (const backup of [...backups].reverse()) { // the last change first, so that each finds what it left
    if (!fs.existsSync(backup)) {
      continue; // it did not come to that
    }
    const result = run(binary, ['configure', '--restore', backup], { env: { ...env, ...variables } });
    if (result.code !== 0) {
      complain(`putting back what was in ${path.join(docker, 'config.json')}: ${firstLine(result)}`);
    }
  }
  if (made) {
    try {
      fs.rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
    } catch (error) {
      complain(`removing ${folder}: ${error.message}`);
    }
  }
}

module.exports = { open, undo, userFolder };
