'use strict';

// read returns the action's inputs. It throws an error if one of them is invalid, before the action
// changes anything.
function read(env) {
  const role = singleLine(env, 'role-to-assume');
  const version = singleLine(env, 'version').replace(/^v/, '');
  if (!/^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$/.test(version)) {
    throw new Error(`version is ${JSON.stringify(version)}; use a release, such as 0.1.0, or omit it`);
  }
  const dockerConfig = singleLine(env, 'docker-config');
  if (dockerConfig !== 'job' && dockerConfig !== 'user') {
    throw new Error(`docker-config is ${JSON.stringify(dockerConfig)}; allowed are job and user`);
  }
  const dockerLogin = singleLine(env, 'docker-login') || 'false';
  if (dockerLogin !== 'true' && dockerLogin !== 'false') {
    throw new Error(`docker-login is ${JSON.stringify(dockerLogin)}; allowed are true and false`);
  }
  const check = singleLine(env, 'check') || 'auto';
  if (!['auto', 'true', 'false'].includes(check)) {
    throw new Error(`check is ${JSON.stringify(check)}; allowed are auto, true and false`);
  }
  const accounts = accountRegistries(list(text(env, 'account-ids')), singleLine(env, 'aws-region'));
  return {
    registries: registries(text(env, 'registries'), role, accounts),
    settings: {
      audience: singleLine(env, 'audience'),
      'session-name': singleLine(env, 'role-session-name'),
      'session-duration': singleLine(env, 'role-duration-seconds'),
      'allowed-account-ids': list(text(env, 'allowed-account-ids')).join(','),
    },
    check,
    version,
    dockerConfig,
    dockerLogin: dockerLogin === 'true',
    token: singleLine(env, 'github-token'),
    verifyRequired: verifyRequired(env),
  };
}

// verifyRequired reports whether the action must refuse a release whose provenance cannot be verified.
// This is a variable and not an input, so that the owner of a runner can set it for all jobs.
// install.sh and install.ps1 read it too.
function verifyRequired(env) {
  const value = (env.ECR_OIDC_VERIFY || '').trim();
  if (value !== '' && value !== 'required') {
    throw new Error(`ECR_OIDC_VERIFY is ${JSON.stringify(value)}; set it to "required", or unset it`);
  }
  return value === 'required';
}

// failed reports whether the job has failed. See job-status in action.yml.
function failed(env) {
  return singleLine(env, 'job-status') === 'failure';
}

// text returns an input. The runner sets a variable: INPUT_ and the name in upper case (actions/runner
// Handler.cs).
function text(env, name) {
  return (env[`INPUT_${name.toUpperCase()}`] || '').trim();
}

// singleLine returns an input that must be one line.
function singleLine(env, name) {
  const value = text(env, name);
  if (/[\u0000-\u001f\u007f]/.test(value)) {
    throw new Error(`${name} contains a line break or another control character`);
  }
  return value;
}

// list parses values that are separated by commas or white space. It returns each value once.
function list(text) {
  return [...new Set(text.split(/[\s,]+/))].filter(Boolean);
}

// suffixes are the suffixes of the registries' names in AWS's partitions, by a pattern of the region.
// They are those of the helper (internal/registry). A test compares them.
const suffixes = [
  [/^cn-/, 'amazonaws.com.cn'],
  [/^eusc-/, 'amazonaws.eu'],
  [/^us-iso-/, 'c2s.ic.gov'],
  [/^us-isob-/, 'sc2s.sgov.gov'],
  [/^eu-isoe-/, 'cloud.adc-e.uk'],
  [/^us-isof-/, 'csp.hci.ic.gov'],
  [/^/, 'amazonaws.com'],
];

// accountRegistries returns the hosts of the accounts' registries in a region.
function accountRegistries(accounts, region) {
  if (accounts.length === 0) {
    if (region) {
      throw new Error('aws-region is set, but account-ids is empty; set account-ids to the accounts of ' +
        'the registries, and check that its variable or secret is set');
    }
    return [];
  }
  if (!/^[a-z]{2,4}(-[a-z]+)+-\d{1,2}$/.test(region)) {
    throw new Error(region
      ? `aws-region is ${JSON.stringify(region)}, which is not a region; a region looks like eu-west-2`
      : 'account-ids is set, but aws-region is empty; set it to the region of the registries');
  }
  return accounts.map((account) => {
    if (!/^\d{12}$/.test(account)) {
      throw new Error(`account-ids has ${JSON.stringify(account)}, which is not an account number; ` +
        'an account number has 12 digits, and a single one must be in quotes');
    }
    const [, suffix] = suffixes.find(([pattern]) => pattern.test(region));
    return `${account}.dkr.ecr.${region}.${suffix}`;
  });
}

// registryOf returns the name of a registry as the helper prints it.
function registryOf(host) {
  return host.toLowerCase().replace(/^https?:\/\//, '').replace(/(:443)?(\/.*)?$/, '');
}

// registries parses one HOST or HOST=ROLE per line. fallback is the role of the other registries, and
// of the hosts in more. It returns { host, role, from, line } for each host: from is the input that has
// the role, and line is the line in text. The command configure checks the hosts and roles.
function registries(text, fallback, more = []) {
  const found = new Map(); // by host
  const roles = new Map(); // account → role, as in the configuration file
  const add = (at, host, own, line) => {
    const role = own || fallback;
    const account = (/^(?:https?:\/\/)?(\d{12})\./.exec(host) || [undefined, host])[1];
    if (roles.has(account) && roles.get(account) !== role) {
      throw new Error(
        `${at} account ${account} already has another role, and one role applies to all its registries; ` +
          `if steps need different roles, set ECR_OIDC_ROLE_${account} in their env`,
      );
    }
    roles.set(account, role);
    found.set(host, { host, role, from: own ? `line ${line} of registries` : 'role-to-assume', line });
  };
  text.split(/\r\n|\r|\n/).forEach((line, i) => {
    const at = `registries, line ${i + 1}:`;
    line = line.trim();
    if (line === '') {
      return;
    }
    if (/[\u0000-\u001f\u007f]/.test(line)) {
      throw new Error(`${at} it contains a control character`);
    }
    const equals = line.indexOf('=');
    const host = equals < 0 ? line : line.slice(0, equals).trim();
    const own = equals < 0 ? '' : line.slice(equals + 1).trim();
    if (host === '') {
      throw new Error(`${at} ${JSON.stringify(line)} has no registry before "="`);
    }
    if (/\s/.test(host)) {
      throw new Error(`${at} ${JSON.stringify(host)} contains a space; use one line per registry`);
    }
    if (equals >= 0 && own === '') {
      throw new Error(`${at} ${JSON.stringify(line)} has no role after "="; ` +
        'check that its variable or secret is set');
    }
    add(at, host, own, i + 1);
  });
  for (const host of more.filter((host) => !found.has(host))) {
    add('account-ids:', host, '');
  }
  if (found.size === 0) {
    throw new Error('registries is empty; set it to one registry per line, or set account-ids and ' +
      'aws-region, and check that their variables are set');
  }
  return [...found.values()];
}

// groups groups registries by role. Each group is one call of configure. from is an input that has the
// role.
function groups(registries) {
  const byRole = new Map();
  for (const { host, role, from } of registries) {
    const group = byRole.get(role) || { role, from, hosts: [] };
    group.hosts.push(host);
    byRole.set(role, group);
  }
  return [...byRole.values()];
}

module.exports = { failed, groups, read, registries, registryOf };
