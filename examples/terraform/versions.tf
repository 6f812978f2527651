terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.81" # thumbprint_list is optional: https://github.com/hashicorp/terraform-provider-aws/pull/37255
    }
  }
}
