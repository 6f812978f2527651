'use strict';

// What a step can tell the runner, and how:
// https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands

const crypto = require('node:crypto');
const fs = require('node:fs');

const title = 'docker-credential-ecr-oidc';

// escape makes one line of a command's message, as the runner reads it back (actions/runner ActionCommand.cs).
function escape(text) {
  return String(text).replace(/%/g, '%25').replace(/\r/g, '%0D').replace(/\n/g, '%0A');
}

// plain makes text that came from outside fit for the log: no control characters, and nothing that the runner obeys,
// which is "::" at the start of a line and "##[" anywhere in one.
function plain(text) {
  return String(text)
    .split(/\r\n|\r|\n/)
    .map((line) => line.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g, ' '))
    .map((line) => line.replace(/^\s*::/, ': :').replace(/##\[/g, '# #['))
    .join('\n');
}

function info(text) {
  process.stdout.write(plain(text) + '\n');
}

function warning(text) {
  process.stdout.write(`::warning title=${title}::${escape(plain(text))}\n`);
}

function error(text) {
  process.stdout.write(`::error title=${title}::${escape(plain(text))}\n`);
}

// mask has the runner replace a secret in all that is logged from here on.
function mask(secret) {
  process.stdout.write(`::add-mask::${escape(secret)}\n`);
}

// group writes text to the log in a group that people can unfold. The runner obeys no command in
// it: the token that ends this is random, so the text cannot have it.
function group(name, text) {
  const token = crypto.randomUUID();
  process.stdout.write(`::group::${title}: ${escape(name)}\n::stop-commands::${token}\n`);
  process.stdout.write(`${plain(text).trimEnd()}\n::${token}::\n::endgroup::\n`);
}

// append writes a name and its value into one of the runner's files. The delimiter is random, so that no value can end
// itself and begin another.
function append(variable, name, value) {
  const delimiter = `ecr_oidc_${crypto.randomUUID()}`;
  fs.appendFileSync(file(variable), `${name}<<${delimiter}\n${value}\n${delimiter}\n`);
}

function file(variable) {
  const path = process.env[variable];
  if (!path) {
    throw new Error(`${variable} is not set: this is not a step of an action, or the runner is too old for it`);
  }
  return path;
}

function exportVariable(name, value) {
  append('GITHUB_ENV', name, value);
}

function saveState(name, value) {
  append('GITHUB_STATE', name, JSON.stringify(value));
}

// state is what an earlier stage of this step saved; undefined when it saved nothing.
function state(name) {
  const text = process.env[`STATE_${name}`];
  return text ? JSON.parse(text) : undefined;
}

// addPath puts a folder before all others on the PATH of later steps. The file has one folder a line, and no way to
// write a folder whose name has two.
function addPath(folder) {
  if (/[\r\n]/.test(folder)) {
    throw new Error(`the folder ${JSON.stringify(folder)} cannot be put on PATH`);
  }
  fs.appendFileSync(file('GITHUB_PATH'), folder + '\n');
}

module.exports = { addPath, error, escape, exportVariable, group, info, mask, plain, saveState, state, warning };
