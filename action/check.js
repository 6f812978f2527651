'use strict';

// Logs in to the registries with the helper's command check, so that the step fails if no later step
// can log in. The logins are cached, so the first login of Docker makes no request.

const fs = require('node:fs');
const { firstLine, run } = require('./exec.js');
const { registryOf } = require('./inputs.js');
const runner = require('./runner.js');

const parallel = 16; // number of registries that the helper checks at the same time
const timeout = 30; // seconds, for each of these groups; the helper's own limit is 28

// check logs in to the registries of inputs.read and writes the results to the log. It returns the
// errors that fail the step, as { hosts, text }. mode is the input check, and explain replaces the
// helper's settings in a text by the inputs.
function check(mode, registries, binary, env, explain) {
  const hosts = [...new Set(registries.map(({ host }) => registryOf(host)))];
  const result = run(binary, ['check', '--json', '--', ...hosts], {
    env,
    timeout: Math.ceil(hosts.length / parallel) * timeout * 1000,
  });
  if (result.code === 2 && /unknown command/.test(result.stderr)) {
    const log = mode === 'true' ? runner.warning : runner.info;
    log('this release has no command check, so the logins were not checked; ' +
      'to check them, set version to a later release');
    return [];
  }
  const results = parse(result);
  for (const line of result.stderr.split(/\r?\n/).filter(Boolean)) {
    runner.warning(explain(line)); // such as a variable that does not exist
  }
  for (const each of results.filter(({ ok }) => ok)) {
    runner.info(explain(describe(each)));
  }
  const why = restriction(env);
  // configure has warned about the public registry without a role.
  const isWarned = ({ registry, reason }) => {
    return mode === 'auto' && reason === 'no-role' && isPublic(registry);
  };
  const failed = results.filter((each) => !each.ok && !isWarned(each)).map((each) => ({
    host: each.registry,
    text: explain(problem(each, registries, why)),
    fails: mode === 'true' || !(each.reason === 'no-role' || each.reason === 'no-token' && why),
  }));
  for (const { hosts, text } of merge(failed.filter(({ fails }) => !fails))) {
    runner.warning(`cannot log in to ${hosts.join(', ')} yet: ${text}`);
  }
  return merge(failed.filter(({ fails }) => fails));
}

// parse returns the results of check --json.
function parse(result) {
  try {
    return JSON.parse(result.stdout);
  } catch {
    throw new Error(`checking the logins: ${firstLine(result)}`);
  }
}

// describe describes a login.
function describe({ registry, role, source, subject, expires, cached, ...login }) {
  if (login.stored_login) {
    return `${registry}: logged in by another tool, until ${expires}`;
  }
  const [, account, name] = /^arn:[^:]*:iam::(\d*):role\/(.*)$/.exec(role) || [];
  const identity = name ? `role ${name} in ${account} (from ${login.role_from})` : 'AWS credentials';
  const parts = [identity, `source ${source}`];
  if (subject) {
    parts.push(`subject ${JSON.stringify(subject)}`);
  }
  if (cached) {
    parts.push('cached');
  }
  return `${registry}: logged in with ${parts.join(', ')}, until ${expires}`;
}

// problem describes why a login failed. why is the job's restriction.
function problem({ registry, reason, error }, registries, why) {
  if (reason === 'no-token' && why) {
    return `the job has no OIDC token, because ${why}`;
  }
  if (reason !== 'no-role') {
    return error;
  }
  const { line } = registries.find(({ host }) => registryOf(host) === registry) || {};
  const append = line ? `, or append =ROLE to line ${line} of registries` : '';
  const text = `no role is set; set role-to-assume${append}`;
  if (isPublic(registry)) {
    return `${text}; without a role, access to this registry is anonymous`;
  }
  const cause = why ? `the secret is empty, because ${why}` : 'the secret may be unset';
  return `${text}; if the role is in a secret, ${cause}; ` +
    'a later step may also set the role or AWS keys';
}

function isPublic(registry) {
  return !/^\d{12}\./.test(registry);
}

// merge merges the failures that have the same text. It returns them as { hosts, text }.
function merge(failures) {
  const byText = new Map();
  for (const { host, text } of failures) {
    byText.set(text, [...(byText.get(text) || []), host]);
  }
  return [...byText].map(([text, hosts]) => ({ hosts, text }));
}

// restriction returns why GitHub gives this job no secrets and no token, or '' if it gives them.
// https://docs.github.com/en/actions/reference/workflows-and-actions/events-that-trigger-workflows#pull_request
// https://docs.github.com/en/code-security/dependabot/troubleshooting-dependabot/troubleshooting-dependabot-on-github-actions
function restriction(env) {
  if (env.GITHUB_EVENT_NAME === 'pull_request_target') {
    return ''; // runs in the base repository
  }
  if (env.GITHUB_ACTOR === 'dependabot[bot]') {
    return 'Dependabot triggered it';
  }
  try {
    const { pull_request: request } = JSON.parse(fs.readFileSync(env.GITHUB_EVENT_PATH, 'utf8'));
    // The repository is null if the fork was deleted.
    if (request && request.head.repo?.full_name !== request.base.repo.full_name) {
      return 'the pull request is from a fork';
    }
  } catch {
    // no event, or not one of GitHub's
  }
  return '';
}

module.exports = { check, restriction };
