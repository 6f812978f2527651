# No provider: the documents are plain values, so that they can be rendered, read and tested without an AWS account.
terraform {
  required_version = ">= 1.5"
}
