terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.81"
    }
  }
}

provider "aws" {
  region = "eu-west-2"
}

module "app" {
  source = "../terraform" # "github.com/ecr-oidc/docker-credential-ecr-oidc//examples/terraform?ref=v0.1.0" from elsewhere

  role_name    = "gha-app"
  repositories = ["app"]
  github = [{
    repository = "acme/app"
    branches   = ["main"]
    # A repository that is made today has both ids in its subject; of one from before July 2026, leave both out.
    owner_id      = "123456" # gh api users/acme --jq .id
    repository_id = "456789" # gh api repos/acme/app --jq .id, or the repo_id of a github_repository
  }]
}

# The three secrets of the GitHub repository.
output "AWS_REGION" {
  value = "eu-west-2"
}

output "GHA_DEFAULT_ROLE_ARN" {
  value = module.app.role_arn
}

output "ECR_REPO_URL" {
  value = module.app.repository_urls["app"]
}
