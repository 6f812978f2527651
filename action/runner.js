'use strict';

// Workflow commands and environment files, the interface between a step and the runner:
// https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands

const crypto = require('node:crypto');
const fs = require('node:fs');

const title = 'docker-credential-ecr-oidc';

// escape encodes the message of a workflow command as one line (actions/runner ActionCommand.cs).
function escape(text) {
  return String(text).replace(/%/g, '%25').replace(/\r/g, '%0D').replace(/\n/g, '%0A');
}

const controlCharacters = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g;

// sanitize removes control characters and workflow commands from text of external origin. A command is
// "::" at the start of a line, or "##[" anywhere in a line.
function sanitize(text) {
  return String(text)
    .split(/\r\n|\r|\n/)
    .map((line) => line.replace(controlCharacters, ' '))
    .map((line) => line.replace(/^\s*::/, ': :').replace(/##\[/g, '# #['))
    .join('\n');
}

function info(text) {
  process.stdout.write(sanitize(text) + '\n');
}

function warning(text) {
  process.stdout.write(`::warning title=${title}::${escape(sanitize(text))}\n`);
}

function error(text) {
  process.stdout.write(`::error title=${title}::${escape(sanitize(text))}\n`);
}

// mask makes the runner replace a secret in all later output.
function mask(secret) {
  process.stdout.write(`::add-mask::${escape(secret)}\n`);
}

// group writes text to the log in a collapsed group. The runner ignores commands in the text, up to a
// random token that the text cannot contain.
function group(name, text) {
  const token = crypto.randomUUID();
  process.stdout.write(`::group::${title}: ${escape(name)}\n::stop-commands::${token}\n`);
  process.stdout.write(`${sanitize(text).trimEnd()}\n::${token}::\n::endgroup::\n`);
}

// append adds a variable to one of the runner's environment files. The delimiter is random, so a value
// cannot contain it and set another variable.
function append(variable, name, value) {
  const delimiter = `ecr_oidc_${crypto.randomUUID()}`;
  fs.appendFileSync(file(variable), `${name}<<${delimiter}\n${value}\n${delimiter}\n`);
}

function file(variable) {
  const path = process.env[variable];
  if (!path) {
    throw new Error(`${variable} is not set: this is not a step of an action, or the runner is too old`);
  }
  return path;
}

function exportVariable(name, value) {
  append('GITHUB_ENV', name, value);
}

function setOutput(name, value) {
  append('GITHUB_OUTPUT', name, value);
}

function saveState(name, value) {
  append('GITHUB_STATE', name, JSON.stringify(value));
}

// state returns the state that main saved, or undefined if there is none.
function state(name) {
  const text = process.env[`STATE_${name}`];
  return text ? JSON.parse(text) : undefined;
}

// addPath adds a directory at the start of PATH for later steps. GITHUB_PATH has one directory per line,
// so the path cannot contain a line break.
function addPath(folder) {
  if (/[\r\n]/.test(folder)) {
    const quoted = JSON.stringify(folder);
    throw new Error(`the directory ${quoted} cannot be added to PATH: it contains a line break`);
  }
  fs.appendFileSync(file('GITHUB_PATH'), folder + '\n');
}

module.exports = {
  addPath, error, escape, exportVariable, group, info, mask, sanitize, saveState, setOutput, state, warning,
};
