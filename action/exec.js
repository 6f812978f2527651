'use strict';

const childProcess = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

// which finds a program on PATH; '' when it is not there. A relative folder is passed over, and the working directory,
// where Windows looks first: it is the checkout, and anybody's pull request may have put a gh.exe there.
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
      // not here
    }
  }
  return '';
}

// run runs a program to its end or the time limit. Its stdin is empty: under act a step's is a terminal that never ends.
// Of the environment it does not get the action's inputs: one of them is a token, and only gh is to have that.
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
  const late = Boolean(result.error && result.error.code === 'ETIMEDOUT');
  return { code: result.status, stdout: result.stdout || '', stderr: result.stderr || '', late: late && timeout / 1000, error: result.error };
}

// firstLine is what a failed program gave as its reason: its first line that begins with "error", or else its first, without
// the name that this helper puts before its own.
function firstLine(result) {
  if (result.late) {
    return `it did not end within ${result.late} s`;
  }
  if (result.error) {
    return result.error.message;
  }
  const lines = (result.stderr.trim() || result.stdout.trim()).split(/[\r\n]+/);
  const line = lines.find((text) => /^error\b/i.test(text)) || lines[0];
  return line.replace(/^ecr-oidc: /, '').slice(0, 600) || `it ended with ${result.code}`;
}

module.exports = { firstLine, run, which };
