locals {
  # An IAM provider's ARN ends in the issuer without https://, and so does the name of each condition key.
  github_issuer   = var.github_provider_arn == null ? "" : split("oidc-provider/", var.github_provider_arn)[1]
  circleci_issuer = var.circleci_provider_arn == null ? "" : split("oidc-provider/", var.circleci_provider_arn)[1]

  # https://docs.github.com/en/actions/reference/security/oidc
  github = [for g in var.github : {
    workflows = g.reusable_workflows
    prefix = join("", ["repo:",
      split("/", g.repository)[0], g.owner_id == null ? "" : "@${g.owner_id}", "/",
      split("/", g.repository)[1], g.repository_id == null ? "" : "@${g.repository_id}",
    ])
    contexts = concat(
      [for b in g.branches : "ref:refs/heads/${b}"],
      [for t in g.tags : "ref:refs/tags/${t}"],
      [for e in g.environments : "environment:${replace(e, ":", "%3A")}"], # GitHub escapes the colon
      g.pull_requests ? ["pull_request"] : [],
    )
  }]

  # A user's id is a UUID. As `*` it would match a whole subject that somebody hid in the name of a branch.
  # https://circleci.com/docs/openid-connect-tokens/
  uuid = "????????-????-????-????-????????????"

  # Who is let in: one grant for each entry, with the claims that it must have.
  grants = concat(
    [for g in local.github : {
      provider = var.github_provider_arn
      issuer   = local.github_issuer
      claims = merge(
        {
          aud = [var.github_audience]
          sub = length(g.contexts) == 0 ? ["${g.prefix}:*"] : [for c in g.contexts : "${g.prefix}:${c}"]
        },
        length(g.workflows) == 0 ? {} : { job_workflow_ref = g.workflows },
      )
    }],
    length(var.github_subjects) == 0 ? [] : [{
      provider = var.github_provider_arn
      issuer   = local.github_issuer
      claims   = { aud = [var.github_audience], sub = var.github_subjects }
    }],
    [for c in var.circleci : {
      provider = var.circleci_provider_arn
      issuer   = local.circleci_issuer
      claims = {
        aud = [c.organization_id] # that of the token which CircleCI gives to every job
        sub = [for ref in concat([for b in c.branches : "heads/${b}"], [for t in c.tags : "tags/${t}"]) :
        "org/${c.organization_id}/project/${c.project_id}/user/${local.uuid}/vcs-origin/${c.repository}/vcs-ref/refs/${ref}"]
      }
    }],
    [for s in var.subjects : {
      provider = s.provider_arn
      issuer   = split("oidc-provider/", s.provider_arn)[1]
      claims   = { aud = [s.audience], sub = s.subjects }
    }],
  )

  trust_policy = {
    Version = "2012-10-17"
    Statement = concat(
      [for g in local.grants : {
        Effect    = "Allow"
        Principal = { Federated = g.provider }
        Action    = "sts:AssumeRoleWithWebIdentity"
        # Conditions hold together, the values of one key each for itself: a claim is under one operator with all its values.
        Condition = {
          for operator, claims in {
            StringEquals = { for k, v in g.claims : k => v if !can(regex("[*?]", join("", v))) }
            StringLike   = { for k, v in g.claims : k => v if can(regex("[*?]", join("", v))) }
          } : operator => { for k, v in claims : "${g.issuer}:${k}" => v } if length(claims) > 0
        }
      }],
      length(var.principals) == 0 ? [] : [{
        Effect    = "Allow"
        Principal = { AWS = var.principals }
        Action    = "sts:AssumeRole"
      }],
    )
  }

  login = {
    Effect   = "Allow"
    Action   = "ecr:GetAuthorizationToken"
    Resource = "*" # this action knows no other
  }
  # https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html
  pull = [
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:GetDownloadUrlForLayer",
  ]
  push = [
    "ecr:CompleteLayerUpload",
    "ecr:InitiateLayerUpload",
    "ecr:PutImage",
    "ecr:UploadLayerPart",
  ]
}
