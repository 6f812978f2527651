'use strict';

const fs = require('node:fs');
const path = require('node:path');
const toolcache = require('./toolcache.js');

const tool = 'docker-credential-ecr-oidc';

// install returns the path of the helper's binary, from the tool cache or from the release. If
// verifyRequired is true, it ignores a binary in the tool cache whose provenance was not verified.
async function install({ version, token, verifyRequired }, platform, env, log) {
  const cached = toolcache.find(env, version, platform.cache, platform.binary);
  if (cached && (cached.verified || !verifyRequired)) {
    const provenance = cached.verified || 'not verified';
    log(`${tool} ${version}: from the tool cache, ${cached.file}; provenance when cached: ${provenance}`);
    return cached.file;
  }
  // Only a download needs these modules, and loading them takes several milliseconds.
  const { fetchRelease } = require('./release.js');
  const { content, verified } = await fetchRelease({ version, token, verifyRequired }, platform, env, log);
  if (env.RUNNER_TOOL_CACHE) {
    try {
      return toolcache.put(env, version, platform.cache, platform.binary, content, verified);
    } catch (error) {
      // In a container, the tool cache may be owned by another user.
      log(`cannot add ${tool} to the tool cache: ${error.message}`);
    }
  }
  const file = path.join(fs.mkdtempSync(path.join(env.RUNNER_TEMP, `${tool}-bin-`)), platform.binary);
  toolcache.write(file, content);
  return file;
}

module.exports = { install };
