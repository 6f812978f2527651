locals {
  # Not "if no ARN was given": an ARN that another resource has yet to get is not known to be there.
  makes_github   = var.create_github_provider && length(var.github) + length(var.github_subjects) > 0
  makes_circleci = var.create_circleci_provider && length(var.circleci) > 0

  github_provider_arn   = local.makes_github ? aws_iam_openid_connect_provider.github[0].arn : var.github_provider_arn
  circleci_provider_arn = local.makes_circleci ? aws_iam_openid_connect_provider.circleci[0].arn : var.circleci_provider_arn
}

# No thumbprints: AWS checks the certificates of these issuers with its own list of authorities.
# https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_create_oidc_verify-thumbprint.html
resource "aws_iam_openid_connect_provider" "github" {
  count = local.makes_github ? 1 : 0

  url            = "https://token.actions.githubusercontent.com"
  client_id_list = [var.github_audience]

  lifecycle {
    precondition {
      condition     = var.github_provider_arn == null
      error_message = "github_provider_arn names a provider that is there; with it goes create_github_provider = false."
    }
  }
}

resource "aws_iam_openid_connect_provider" "circleci" {
  count = local.makes_circleci ? 1 : 0

  url            = "https://oidc.circleci.com/org/${var.circleci[0].organization_id}"
  client_id_list = [var.circleci[0].organization_id]

  lifecycle {
    precondition {
      condition     = var.circleci_provider_arn == null
      error_message = "circleci_provider_arn names a provider that is there; with it goes create_circleci_provider = false."
    }
  }
}

resource "aws_ecr_repository" "this" {
  for_each = toset(var.repositories)

  name                 = each.key
  image_tag_mutability = var.image_tag_mutability

  image_scanning_configuration {
    scan_on_push = true
  }
}

# What a multi-platform image consists of has no tags either, and is not removed while the image is there.
# https://docs.aws.amazon.com/AmazonECR/latest/userguide/LifecyclePolicies.html
resource "aws_ecr_lifecycle_policy" "this" {
  for_each = aws_ecr_repository.this

  repository = each.value.name
  policy = jsonencode({
    rules = [{
      rulePriority = 1
      description  = "untagged"
      selection    = { tagStatus = "untagged", countType = "sinceImagePushed", countUnit = "days", countNumber = var.untagged_days }
      action       = { type = "expire" }
    }]
  })
}

module "policies" {
  source = "./policies"

  permissions           = var.permissions
  github                = var.github
  github_subjects       = var.github_subjects
  github_audience       = var.github_audience
  github_provider_arn   = local.github_provider_arn
  circleci              = var.circleci
  circleci_provider_arn = local.circleci_provider_arn
  subjects              = var.subjects
  principals            = var.principals
  repository_arns       = concat([for name in var.repositories : aws_ecr_repository.this[name].arn], var.repository_arns)
}

resource "aws_iam_role" "this" {
  name               = var.role_name
  assume_role_policy = module.policies.trust_policy
}

resource "aws_iam_role_policy" "ecr" {
  name   = "ecr-${var.permissions}"
  role   = aws_iam_role.this.name
  policy = var.permissions == "push" ? module.policies.push_policy : module.policies.pull_policy
}
