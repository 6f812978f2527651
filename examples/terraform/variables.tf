variable "role_name" {
  description = "The name of the role that CI takes."
  type        = string
}

variable "permissions" {
  description = "What the role may do in the repositories: push, which is pull as well, or pull."
  type        = string
  default     = "push"
}

variable "repositories" {
  description = "ECR repositories to make, scanned on push."
  type        = list(string)
  default     = []
}

variable "image_tag_mutability" {
  description = "Of the repositories that are made: IMMUTABLE, where a tag that was deployed stays what it was and is pushed once, or MUTABLE."
  type        = string
  default     = "IMMUTABLE"

  validation {
    condition     = contains(["IMMUTABLE", "MUTABLE"], var.image_tag_mutability)
    error_message = "image_tag_mutability is IMMUTABLE or MUTABLE."
  }
}

variable "untagged_days" {
  description = "Images without a tag are removed after so many days."
  type        = number
  default     = 14
}

variable "repository_arns" {
  description = "ECR repositories that are there already and that the role may use as well."
  type        = list(string)
  default     = []
}

# --- who is let in; policies checks it, as it does permissions and repository_arns -------------------------------------

variable "github" {
  description = "GitHub repositories, and what in each is let in. Ids are those of an immutable subject, repo:acme@123456/app@456789:..."
  type = list(object({
    repository         = string
    owner_id           = optional(string)
    repository_id      = optional(string)
    branches           = optional(list(string), [])
    tags               = optional(list(string), [])
    environments       = optional(list(string), [])
    pull_requests      = optional(bool, false)
    reusable_workflows = optional(list(string), [])
  }))
  default = []
}

variable "github_subjects" {
  description = "Whole subjects of GitHub's tokens, such as customised ones."
  type        = list(string)
  default     = []
}

variable "github_audience" {
  description = "The audience of GitHub's tokens, and the client id of its provider. Another one has to be asked for, with ECR_OIDC_AUDIENCE."
  type        = string
  default     = "sts.amazonaws.com"
}

variable "create_github_provider" {
  description = "Make the account's IAM OIDC provider for GitHub. An account has one at most: false where it is there already."
  type        = bool
  default     = true
}

variable "github_provider_arn" {
  description = "The account's IAM OIDC provider for GitHub, with create_github_provider = false."
  type        = string
  default     = null
}

variable "circleci" {
  description = "CircleCI projects of one organisation, and what in each is let in."
  type = list(object({
    organization_id = string
    project_id      = string
    repository      = string
    branches        = optional(list(string), [])
    tags            = optional(list(string), [])
  }))
  default = []
}

variable "create_circleci_provider" {
  description = "Make the account's IAM OIDC provider for the CircleCI organisation: false where it is there already."
  type        = bool
  default     = true
}

variable "circleci_provider_arn" {
  description = "The account's IAM OIDC provider for the CircleCI organisation, with create_circleci_provider = false."
  type        = string
  default     = null
}

variable "subjects" {
  description = "Whole subjects of other CIs' tokens, each with its IAM OIDC provider and audience."
  type = list(object({
    provider_arn = string
    audience     = string
    subjects     = list(string)
  }))
  default = []
}

variable "principals" {
  description = "ARNs of IAM users and roles that may take the role with sts:AssumeRole."
  type        = list(string)
  default     = []
}
