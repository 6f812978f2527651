'use strict';

// Replaces the helper's settings in messages by the inputs of the action. The command configure writes
// the inputs to ecr-oidc.yaml in a temporary directory, and the helper's messages name its lines.

const fs = require('node:fs');
const path = require('node:path');
const { registryOf } = require('./inputs.js');

// inputOf has the inputs by the flag of configure. The key in ecr-oidc.yaml has underscores instead of
// hyphens.
const inputOf = {
  audience: 'audience',
  'session-name': 'role-session-name',
  'session-duration': 'role-duration-seconds',
  'allowed-account-ids': 'allowed-account-ids',
};

const file = (folder) => path.join(folder, '.inputs.json');

// save adds the roles of this call to those of earlier calls in the job.
function save(folder, registries) {
  const roles = registries.filter(({ role }) => role)
    .map(({ host, role, from }) => ({ account: accountOf(registryOf(host)), role, from }));
  fs.writeFileSync(file(folder), JSON.stringify([...read(folder), ...roles]), { mode: 0o600 });
}

function read(folder) {
  try {
    return JSON.parse(fs.readFileSync(file(folder), 'utf8'));
  } catch {
    return [];
  }
}

// accountOf returns the account of a registry, or "public".
function accountOf(registry) {
  return /^\d{12}/.test(registry) ? registry.slice(0, 12) : 'public';
}

// explain returns a message of the helper with the names of inputs. It removes the advice to run
// doctor, because the action runs it.
function explain(text, folder) {
  const settings = path.join(folder, 'ecr-oidc.yaml');
  let named = text;
  if (text.includes(settings)) {
    const lines = fs.existsSync(settings) ? fs.readFileSync(settings, 'utf8').split('\n') : [];
    const roles = read(folder).reverse(); // later calls replace the roles of earlier calls
    named = text.split(settings).reduce((before, after) => {
      const [colon, line] = /^:(\d+)/.exec(after) || [''];
      const name = line ? input(lines, Number(line), roles) : 'ecr-oidc.yaml';
      return before + name + after.slice(colon.length);
    });
  }
  return named
    .replace(/^ecr-oidc: /, '')
    .replace(/; to see why: docker-credential-ecr-oidc doctor \S+/g, '')
    .replace(/\ballowed_account_ids\b( in ecr-oidc\.yaml)?/g, 'allowed-account-ids')
    .replace(/\bset ECR_OIDC_ROLE to\b/g, 'set role-to-assume to')
    .replace(/\bset ECR_OIDC_ROLE_PUBLIC\b/g, 'set role-to-assume')
    .replace(/\bset ECR_OIDC_AUDIENCE to\b/g, 'set audience to')
    .replace(/\breduce ECR_OIDC_SESSION_DURATION\b/g, 'reduce role-duration-seconds');
}

// input returns the input that configure wrote to a line of ecr-oidc.yaml. A line that does not come
// from an input is from the user's own file.
function input(lines, number, roles) {
  const [, key, value] = /^\s*"?(\w+)"?:\s*(.*)/.exec(lines[number - 1] || '') || [];
  const section = lines.slice(0, number).reverse().find((text) => {
    return /^( {2}"?\d{12}"?|\w+):/.test(text);
  });
  const account = /\d{12}|\w+/.exec(section)?.[0];
  const plain = (role) => role.replace(/[\s"'[\]]/g, '');
  if (key === 'role') {
    const found = roles.find((role) => role.account === account && plain(role.role) === plain(value));
    return found ? found.from : 'role in ecr-oidc.yaml';
  }
  return inputOf[key?.replace(/_/g, '-')] || `${key || `line ${number}`} in ecr-oidc.yaml`;
}

// explainFlags returns a message of the command configure with the names of inputs. from is the input
// that has the role.
function explainFlags(text, from) {
  return text.replace(/^ecr-oidc: /, '')
    .replace(/^configure: /, '')
    .replace('set ECR_OIDC_ROLE_PUBLIC, or configure it with --role', 'set role-to-assume')
    .replace(/--([a-z-]+)/g, (flag, name) => (name === 'role' ? from : inputOf[name]) || flag);
}

module.exports = { explain, explainFlags, save };
