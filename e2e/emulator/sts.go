package emulator

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"time"
)

const stsNamespace = "https://sts.amazonaws.com/doc/2011-06-15/"

// sts serves the Security Token Service: AssumeRole, AssumeRoleWithWebIdentity and GetCallerIdentity.
// https://docs.aws.amazon.com/STS/latest/APIReference/API_Operations.html
func (r *request) sts() {
	switch r.form.Get("Action") {
	case "AssumeRoleWithWebIdentity":
		r.webIdentity()
	case "AssumeRole":
		r.assumeRole()
	case "GetCallerIdentity":
		r.callerIdentity()
	default:
		r.writeError(apiError{http.StatusBadRequest, "InvalidAction",
			fmt.Sprintf("Could not find operation %s for version %s", r.form.Get("Action"),
				r.form.Get("Version"))})
	}
}

// assumeRoleResponse is the response of both actions that assume a role.
type assumeRoleResponse struct {
	XMLName  xml.Name
	Result   assumeRoleResult
	Metadata metadata `xml:"ResponseMetadata"`
}

type assumeRoleResult struct {
	XMLName     xml.Name
	Subject     string                              `xml:"SubjectFromWebIdentityToken,omitempty"`
	Audience    string                              `xml:",omitempty"`
	Provider    string                              `xml:",omitempty"`
	Role        struct{ Arn, AssumedRoleId string } `xml:"AssumedRoleUser"`
	Credentials struct{ AccessKeyId, SecretAccessKey, SessionToken, Expiration string }
}

type metadata struct{ RequestId string }

// startSession starts a session of a role and sends its credentials.
func (r *request) startSession(role Role, ttl time.Duration, result assumeRoleResult) {
	if r.server.opts.SessionTTL > 0 {
		ttl = min(ttl, r.server.opts.SessionTTL)
	}
	var session *policy
	if text := r.form.Get("Policy"); text != "" {
		var err error
		if session, err = parsePolicy(text); err != nil {
			r.writeError(apiError{http.StatusBadRequest, "MalformedPolicyDocument", err.Error()})
			return
		}
	}
	p := r.server.newSession(role.ARN, r.form.Get("RoleSessionName"), ttl, session)
	r.setCaller(p.arn)
	action := r.form.Get("Action")
	result.XMLName.Local = action + "Result"
	result.Role.Arn, result.Role.AssumedRoleId = p.arn, p.id
	result.Credentials.AccessKeyId, result.Credentials.SecretAccessKey,
		result.Credentials.SessionToken = p.keyID, p.secret, p.token
	expires := p.expires
	if r.server.opts.SessionTTL < 0 {
		expires = r.server.now().Add(r.server.opts.SessionTTL)
	}
	result.Credentials.Expiration = expires.UTC().Format(time.RFC3339)
	r.writeXML(http.StatusOK, assumeRoleResponse{
		XMLName: xml.Name{Space: stsNamespace, Local: action + "Response"}, Result: result,
		Metadata: metadata{newUUID()},
	})
}

// assumeRole serves AssumeRole, whose caller is a user or a role session.
func (r *request) assumeRole() {
	caller, _, ok := r.authenticate()
	if !ok {
		return
	}
	role, trust, ttl, ok := r.roleParameters()
	if !ok {
		return
	}
	chained := !caller.expires.IsZero()
	context := map[string][]string{"aws:principalarn": {caller.source}}
	if id := r.form.Get("ExternalId"); id != "" {
		context["sts:externalid"] = []string{id}
	}
	account := accountOf(caller.source)
	principals := []string{caller.arn, caller.source, account,
		"arn:" + arnPart(caller.source, 1) + ":iam::" + account + ":root"}
	switch {
	case !trust.allows(policyRequest{action: "sts:AssumeRole",
		principals: map[string][]string{"AWS": principals}, context: context}),
		caller.session != nil && !caller.session.allows(policyRequest{action: "sts:AssumeRole",
			resource: r.form.Get("RoleArn")}):
		r.writeError(apiError{http.StatusForbidden, "AccessDenied", fmt.Sprintf(
			"User: %s is not authorized to perform: sts:AssumeRole on resource: %s", caller.arn,
			r.form.Get("RoleArn"))})
	case chained && ttl > time.Hour:
		r.writeValidationError("The requested DurationSeconds exceeds the 1 hour session limit " +
			"for roles assumed by role chaining.")
	case ttl > role.MaxSession:
		r.writeValidationError("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
	default:
		r.startSession(role, ttl, assumeRoleResult{})
	}
}

type callerIdentityResponse struct {
	XMLName  xml.Name                              `xml:"https://sts.amazonaws.com/doc/2011-06-15/ GetCallerIdentityResponse"`
	Result   struct{ Arn, UserId, Account string } `xml:"GetCallerIdentityResult"`
	Metadata metadata                              `xml:"ResponseMetadata"`
}

func (r *request) callerIdentity() {
	p, _, ok := r.authenticate()
	if !ok {
		return
	}
	response := callerIdentityResponse{Metadata: metadata{newUUID()}}
	response.Result.Arn, response.Result.UserId, response.Result.Account = p.arn, p.id, accountOf(p.source)
	r.writeXML(http.StatusOK, response)
}

var (
	roleARN     = regexp.MustCompile(`^arn:aws[a-z-]*:iam::\d{12}:role/.+$`)
	sessionName = regexp.MustCompile(`^[\w+=,.@-]*$`)
)

// roleParameters returns the parameters that both actions share: the role, its trust policy and the
// duration. An unknown role is the zero Role with a nil trust policy, which denies everything, because
// STS does not distinguish unknown roles from denied ones. If a parameter is invalid, roleParameters
// sends the error and reports false.
func (r *request) roleParameters() (role Role, trust *policy, ttl time.Duration, ok bool) {
	arn, name, seconds := r.form.Get("RoleArn"), r.form.Get("RoleSessionName"), 3600
	if s := r.form.Get("DurationSeconds"); s != "" {
		var err error
		if seconds, err = strconv.Atoi(s); err != nil {
			r.writeError(apiError{http.StatusBadRequest, "MalformedInput", "DurationSeconds is not a number"})
			return
		}
	}
	constraint := func(field, value, rule string) {
		r.writeValidationError(fmt.Sprintf("1 validation error detected: "+
			"Value '%s' at '%s' failed to satisfy constraint: Member must %s", value, field, rule))
	}
	switch {
	case len(arn) < 20 || len(arn) > 2048:
		constraint("roleArn", arn, "have length between 20 and 2048")
	case !roleARN.MatchString(arn):
		r.writeValidationError("Request ARN is invalid")
	case len(name) < 2:
		constraint("roleSessionName", name, "have length greater than or equal to 2")
	case len(name) > 64:
		constraint("roleSessionName", name, "have length less than or equal to 64")
	case !sessionName.MatchString(name):
		constraint("roleSessionName", name, `satisfy regular expression pattern: [\w+=,.@-]*`)
	case seconds < 900:
		constraint("durationSeconds", strconv.Itoa(seconds), "have value greater than or equal to 900")
	case seconds > 43200:
		constraint("durationSeconds", strconv.Itoa(seconds), "have value less than or equal to 43200")
	default:
		r.server.mu.Lock()
		defer r.server.mu.Unlock()
		return r.server.roles[arn], r.server.trustPolicies[arn], time.Duration(seconds) * time.Second, true
	}
	return
}

func (r *request) writeValidationError(message string) {
	r.writeError(apiError{http.StatusBadRequest, "ValidationError", message})
}
