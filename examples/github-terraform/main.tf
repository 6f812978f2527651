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

  role_name    = "app-push"
  repositories = ["app"]
  github = [{
    repository = "acme/app"
    branches   = ["main"]
    tags       = ["v*"]
  }]
}

output "role_arn" {
  value = module.app.role_arn
}

output "repository_url" {
  value = module.app.repository_urls["app"]
}
