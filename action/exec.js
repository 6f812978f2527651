'use strict';

const childProcess = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

// which returns the path of a program on PATH, or '' if there is none. It ignores relative directories
// and the working directory, which Windows searches first: it is the checkout, so a pull request could
// add a gh.exe.
function which(program, env = process.env, system = process.platform) {
  const separator = system === 'win32' ? ';' : ':';
  const { isAbsolute, join } = system === 'win32' ? path.win32 : path.posix;
  for (const folder of (env.PATH || env.Path || '').split(separator)) {
    if (!isAbsolute(folder)) {
      continue;
    }
    const file = join(folder, program + (system === 'win32' ? '.exe' : ''));
    try {
      fs.accessSync(file, fs.constants.X_OK);
      if (fs.statSync(file).isFile()) {
        return file;
      }
    } catch {
      // not in this directory
    }
  }
  return '';
}

// run runs a program until it exits or the timeout (in ms) kills it. stdin is empty, because with act,
// a step's stdin is a terminal that blocks. The program's environment has no inputs of the action,
// because only gh may have the token among them.
function run(program, args, { env = process.env, timeout = 60_000 } = {}) {
  const result = childProcess.spawnSync(program, args, {
    env: Object.fromEntries(Object.entries(env).filter(([name]) => !/^INPUT_/i.test(name))),
    timeout,
    killSignal: 'SIGKILL',
    stdio: ['ignore', 'pipe', 'pipe'],
    encoding: 'utf8',
    maxBuffer: 4 << 20,
    windowsHide: true,
  });
  const timedOut = Boolean(result.error && result.error.code === 'ETIMEDOUT');
  return {
    code: result.status,
    stdout: result.stdout || '',
    stderr: result.stderr || '',
    timeout: timedOut && timeout / 1000, // seconds, or false
    error: result.error,
  };
}

// firstLine returns the error message of a failed program: its first line that begins with "error", or
// its first line. It removes the helper's prefix.
function firstLine(result) {
  if (result.timeout) {
    return `no result within ${result.timeout} s`;
  }
  if (result.error) {
    return result.error.message;
  }
  const lines = (result.stderr.trim() || result.stdout.trim()).split(/[\r\n]+/);
  const line = lines.find((text) => /^error\b/i.test(text)) || lines[0];
  return line.replace(/^ecr-oidc: /, '').slice(0, 600) || `exit status ${result.code}`;
}

module.exports = { firstLine, run, which };
