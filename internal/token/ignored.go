package token

// Ignored returns the variables of other identities that are set and not used: those of other CIs,
// a token, and AWS access keys, profiles, web identities and container credentials.
func (id Identity) Ignored() []string {
	var found []string
	for _, p := range providers() {
		own := p.Name == id.Name || id.KeysOnly && p.Name == id.DetectedCI
		if p.Detect == nil || own {
			continue
		}
		if variable := p.Detect(id.env); variable != "" {
			found = append(found, variable)
		}
	}
	names := []string{"ECR_OIDC_TOKEN"}
	if id.Name != "aws" {
		names = append(names, "AWS_ACCESS_KEY_ID")
	}
	if id.Name != "aws" || id.KeysOnly {
		names = append(names, "AWS_PROFILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI",
			"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
		if !id.WebIdentityPair {
			names = append(names, "AWS_WEB_IDENTITY_TOKEN_FILE")
		}
	}
	for _, name := range names {
		if id.env.Get(name) != "" && name != id.SelectedBy {
			found = append(found, name)
		}
	}
	return found
}

// ignoredAWSVariables returns the variables of AWS credentials that are set, for the errors that
// report that they are not used.
func ignoredAWSVariables(env Env) []string {
	var found []string
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE"} {
		if env.Get(name) != "" {
			found = append(found, name)
		}
	}
	return found
}
