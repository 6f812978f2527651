output "trust_policy" {
  description = "The role's trust policy, as JSON."
  value       = jsonencode(local.trust_policy)

  precondition {
    condition     = length(local.trust_policy.Statement) > 0
    error_message = "Nobody would be let in: give github, github_subjects, circleci, subjects or principals."
  }
  precondition {
    condition     = var.permissions == "pull" || !anytrue([for g in var.github : g.pull_requests])
    error_message = "pull_requests = true goes with permissions = \"pull\": else what nobody has reviewed could push. Give pull requests a role of their own."
  }
  precondition {
    condition     = length(var.github) + length(var.github_subjects) == 0 || var.github_provider_arn != null
    error_message = "github and github_subjects need github_provider_arn."
  }
  precondition {
    condition     = alltrue([for c in var.circleci : endswith(local.circleci_issuer, "/org/${c.organization_id}")])
    error_message = "circleci needs circleci_provider_arn, and that it ends in /org/ORGANIZATION_ID: each organisation is an issuer of its own."
  }
}

output "push_policy" {
  description = "What a role that pushes may do, as JSON: log in, and pull from and push to its repositories."
  value = jsonencode({
    Version   = "2012-10-17"
    Statement = [local.login, { Effect = "Allow", Action = concat(local.pull, local.push), Resource = var.repository_arns }]
  })
}

output "pull_policy" {
  description = "What a role that only pulls may do, as JSON."
  value = jsonencode({
    Version   = "2012-10-17"
    Statement = [local.login, { Effect = "Allow", Action = local.pull, Resource = var.repository_arns }]
  })
}
