output "role_arn" {
  description = "The role, for ECR_ROLE_TO_ASSUME, ECR_OIDC_ROLE or the action's role-to-assume."
  value       = aws_iam_role.this.arn
}

output "repository_urls" {
  description = "What to push to, by the repository's name."
  value       = { for name, r in aws_ecr_repository.this : name => r.repository_url }
}

output "trust_policy" {
  description = "Whom the role lets in, as JSON: what `docker-credential-ecr-oidc doctor --trust-policy -` reads."
  value       = module.policies.trust_policy
}

output "github_provider_arn" {
  description = "The IAM OIDC provider for GitHub, for the account's next role."
  value       = local.github_provider_arn
}

output "circleci_provider_arn" {
  description = "The IAM OIDC provider for CircleCI, for the account's next role."
  value       = local.circleci_provider_arn
}
