variable "permissions" {
  description = "Which of its two policies the role gets, push or pull: a role that pushes lets in no pull requests."
  type        = string
  default     = "push"

  validation {
    condition     = contains(["push", "pull"], var.permissions)
    error_message = "permissions is push or pull."
  }
}

variable "github" {
  description = <<-EOT
    GitHub repositories whose jobs may have the role. Each names what in the repository is let in; one that names nothing
    is an error. `*` and `?` are IAM's wildcards, in branches, tags, environments and behind the owner's name.
  EOT
  type = list(object({
    repository         = string                     # "acme/app"; "acme/*" only with reusable_workflows
    owner_id           = optional(string)           # with repository_id: the repository has immutable subjects, as all
    repository_id      = optional(string)           # that were made, renamed or moved after July 2026 have
    branches           = optional(list(string), []) # "main"
    tags               = optional(list(string), []) # "v*"
    environments       = optional(list(string), []) # "production"; a job with one has no branch in its subject
    pull_requests      = optional(bool, false)      # those of the repository's own branches; with permissions = "pull"
    reusable_workflows = optional(list(string), []) # "acme/gh-actions/.github/workflows/build.yaml@refs/heads/main", as the
  }))                                               # claim job_workflow_ref, whatever the subject; alone: from any branch
  default = []

  validation {
    condition     = alltrue([for g in var.github : can(regex("^[A-Za-z0-9_.-]+/([A-Za-z0-9_.-]+|[*])$", g.repository))])
    error_message = "A repository is OWNER/NAME without wildcards, or OWNER/* with reusable_workflows: anyone can register an owner that a wildcard would match."
  }
  validation {
    condition     = alltrue([for g in var.github : !endswith(g.repository, "/*") || length(g.reusable_workflows) > 0])
    error_message = "OWNER/* lets in every repository of the owner; name the repositories, or the reusable_workflows that they must go through."
  }
  validation {
    condition = alltrue([for g in var.github :
    length(g.branches) + length(g.tags) + length(g.environments) + length(g.reusable_workflows) > 0 || g.pull_requests])
    error_message = "Say what of the repository is let in: branches, tags, environments, pull_requests or reusable_workflows."
  }
  validation {
    condition     = alltrue(flatten([for g in var.github : [for v in concat(g.branches, g.tags, g.environments) : trimspace(v) != ""]]))
    error_message = "An empty branch, tag or environment names nothing."
  }
  validation {
    condition     = alltrue(flatten([for g in var.github : [for w in g.reusable_workflows : can(regex("^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+/[.]github/workflows/[^*?@]+@(refs/(heads|tags)/[^*?\\s]\\S*|[0-9a-f]{40})$", w))]]))
    error_message = "A reusable workflow is OWNER/REPOSITORY/.github/workflows/FILE@REF, where REF is like refs/heads/main, refs/tags/v* or a commit's 40 digits; with an open ref, a branch with another text of it would do."
  }
  validation {
    condition     = alltrue([for g in var.github : (g.repository_id == null) == (g.owner_id == null || endswith(g.repository, "/*"))])
    error_message = "owner_id and repository_id go together: an immutable subject has both; OWNER/* has owner_id alone."
  }
  validation {
    condition     = alltrue(flatten([for g in var.github : [for id in [g.owner_id, g.repository_id] : id == null || can(regex("^[0-9]+$", id))]]))
    error_message = "owner_id and repository_id are numbers."
  }
}

variable "github_provider_arn" {
  description = "The IAM OIDC provider of GitHub; with github."
  type        = string
  default     = null

  validation {
    condition     = var.github_provider_arn == null || can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:oidc-provider/.+", var.github_provider_arn))
    error_message = "github_provider_arn is arn:aws:iam::ACCOUNT:oidc-provider/HOST."
  }
}

variable "github_audience" {
  description = "The audience of GitHub's tokens: what the helper asks for, and a client id of the provider."
  type        = string
  default     = "sts.amazonaws.com"

  validation {
    condition     = can(regex("^[^*?]+$", var.github_audience))
    error_message = "github_audience is one audience, without wildcards."
  }
}

variable "circleci" {
  description = "CircleCI projects whose jobs may have the role."
  type = list(object({
    organization_id = string
    project_id      = string
    repository      = string                     # "github.com/acme/app", as the token's vcs-origin
    branches        = optional(list(string), []) # "main"
    tags            = optional(list(string), []) # "v*"
  }))
  default = []

  validation {
    condition     = alltrue(flatten([for c in var.circleci : [for id in [c.organization_id, c.project_id] : can(regex("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", id))]]))
    error_message = "organization_id and project_id are UUIDs, from the organisation's and the project's settings."
  }
  validation {
    condition     = alltrue([for c in var.circleci : can(regex("^[^/*?]+/[^/*?]+/[^/*?]+$", c.repository))])
    error_message = "A repository is HOST/OWNER/NAME, like github.com/acme/app, without wildcards."
  }
  validation {
    condition     = alltrue([for c in var.circleci : length(c.branches) + length(c.tags) > 0])
    error_message = "Say what of the project is let in: branches or tags."
  }
  validation {
    condition     = alltrue(flatten([for c in var.circleci : [for v in concat(c.branches, c.tags) : trimspace(v) != ""]]))
    error_message = "An empty branch or tag names nothing."
  }
}

variable "circleci_provider_arn" {
  description = "The IAM OIDC provider of the CircleCI organisation; with circleci."
  type        = string
  default     = null

  validation {
    condition     = var.circleci_provider_arn == null || can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:oidc-provider/.+", var.circleci_provider_arn))
    error_message = "circleci_provider_arn is arn:aws:iam::ACCOUNT:oidc-provider/HOST/org/ORG_ID."
  }
}

variable "github_subjects" {
  description = "Whole subjects of GitHub's tokens: what `github` does not cover, such as customised ones."
  type        = list(string)
  default     = []

  # The issuer is everyone's. Whoever customises a subject chooses its claims, so an owner must be named, by a claim that
  # only the owner's repositories have.
  validation {
    condition = alltrue([for s in var.github_subjects :
    can(regex("^([^*?]+:)?((repo|repository):[^*?:/@]+(@[0-9]+)?/|repository_owner:[^*?:]+(:|$)|(repository_owner_id|repository_id):[0-9]+(:|$))", s))])
    error_message = "A subject of GitHub is like repo:OWNER/... with no wildcard before or in OWNER: any other lets in repositories of strangers."
  }
}

variable "subjects" {
  description = "Whole subjects of other CIs' tokens."
  type = list(object({
    provider_arn = string
    audience     = string
    subjects     = list(string)
  }))
  default = []

  validation {
    condition     = alltrue([for s in var.subjects : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:oidc-provider/.+", s.provider_arn))])
    error_message = "provider_arn is arn:aws:iam::ACCOUNT:oidc-provider/HOST."
  }
  validation {
    condition     = alltrue([for s in var.subjects : !strcontains(s.provider_arn, "oidc-provider/token.actions.")])
    error_message = "Subjects of GitHub go into github_subjects, which knows what is dangerous in them."
  }
  validation {
    condition     = alltrue([for s in var.subjects : length(s.subjects) > 0 && can(regex("^[^*?]+$", s.audience))])
    error_message = "Without a subject and an audience anyone with a token of that provider is let in."
  }
  validation {
    condition     = alltrue(flatten([for s in var.subjects : [for sub in s.subjects : can(regex("^([^*?]+|[^*?:/]+[:/][^*?:/]+[:/].*|[{][0-9a-f-]{36}[}]:.*)$", sub))]]))
    error_message = "A subject names its organisation before the first wildcard: organization:acme:..., project_path:acme/..., {REPOSITORY_UUID}:..."
  }
}

variable "principals" {
  description = "ARNs of IAM users and roles that may take the role with sts:AssumeRole."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for p in var.principals : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:(user|role)/[^*?]+$", p))])
    error_message = "A principal is the ARN of one user or one role."
  }
}

variable "repository_arns" {
  description = "The ECR repositories that the role may use: arn:aws:ecr:REGION:ACCOUNT:repository/NAME."
  type        = list(string)
  default     = []

  # IAM refuses a policy without a resource, and it would do so in the middle of an apply.
  validation {
    condition     = length(var.repository_arns) > 0
    error_message = "The role has no repository: give repository_arns, or to the module around this one also repositories."
  }
  validation {
    condition     = alltrue([for r in var.repository_arns : can(regex("^arn:aws[a-z-]*:ecr:[a-z0-9-]+:[0-9]{12}:repository/[^*?]+[*]?$", r))])
    error_message = "A repository is arn:aws:ecr:REGION:ACCOUNT:repository/NAME; only NAME may end in a wildcard."
  }
}
