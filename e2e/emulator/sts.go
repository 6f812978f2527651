package emulator

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"time"
)

const stsSpace = "https://sts.amazonaws.com/doc/2011-06-15/"

// sts serves three actions of the Security Token Service.
// https://docs.aws.amazon.com/STS/latest/APIReference/API_Operations.html
func (v *visit) sts() {
	switch v.form.Get("Action") {
	case "AssumeRoleWithWebIdentity":
		v.webIdentity()
	case "AssumeRole":
		v.assumeRole()
	case "GetCallerIdentity":
		v.callerIdentity()
	default:
		v.fail(apiError{http.StatusBadRequest, "InvalidAction",
			fmt.Sprintf("Could not find operation %s for version %s", v.form.Get("Action"), v.form.Get("Version"))})
	}
}

type assumed struct {
	XMLName  xml.Name
	Result   assumedResult
	Metadata metadata `xml:"ResponseMetadata"`
}

type assumedResult struct {
	XMLName     xml.Name
	Subject     string                              `xml:"SubjectFromWebIdentityToken,omitempty"`
	Audience    string                              `xml:",omitempty"`
	Provider    string                              `xml:",omitempty"`
	Role        struct{ Arn, AssumedRoleId string } `xml:"AssumedRoleUser"`
	Credentials struct{ AccessKeyId, SecretAccessKey, SessionToken, Expiration string }
}

type metadata struct{ RequestId string }

// session opens the session and answers with its credentials.
func (v *visit) session(role Role, life time.Duration, r assumedResult) {
	if v.w.opts.SessionTTL > 0 {
		life = min(life, v.w.opts.SessionTTL)
	}
	var session *policy
	if text := v.form.Get("Policy"); text != "" {
		var err error
		if session, err = parsePolicy(text); err != nil {
			v.fail(apiError{http.StatusBadRequest, "MalformedPolicyDocument", err.Error()})
			return
		}
	}
	p := v.w.open(role.ARN, v.form.Get("RoleSessionName"), life, session)
	v.caller(p.arn)
	action := v.form.Get("Action")
	r.XMLName.Local = action + "Result"
	r.Role.Arn, r.Role.AssumedRoleId = p.arn, p.id
	r.Credentials.AccessKeyId, r.Credentials.SecretAccessKey, r.Credentials.SessionToken = p.keyID, p.secret, p.token
	expires := p.expires
	if v.w.opts.SessionTTL < 0 {
		expires = v.w.now().Add(v.w.opts.SessionTTL)
	}
	r.Credentials.Expiration = expires.UTC().Format(time.RFC3339)
	v.xml(http.StatusOK, assumed{XMLName: xml.Name{Space: stsSpace, Local: action + "Response"}, Result: r, Metadata: metadata{guid()}})
}

// assumeRole is the signed way into a role: a user's, or the next link of a chain.
func (v *visit) assumeRole() {
	caller, _, ok := v.authenticate()
	if !ok {
		return
	}
	role, trust, life, ok := v.asked()
	if !ok {
		return
	}
	chained := !caller.expires.IsZero()
	context := map[string][]string{"aws:principalarn": {caller.source}}
	if id := v.form.Get("ExternalId"); id != "" {
		context["sts:externalid"] = []string{id}
	}
	account := accountOf(caller.source)
	names := []string{caller.arn, caller.source, account, "arn:" + arnPart(caller.source, 1) + ":iam::" + account + ":root"}
	switch {
	case !trust.allows(question{action: "sts:AssumeRole", who: map[string][]string{"AWS": names}, context: context}),
		caller.session != nil && !caller.session.allows(question{action: "sts:AssumeRole", resource: v.form.Get("RoleArn")}):
		v.fail(apiError{http.StatusForbidden, "AccessDenied", fmt.Sprintf(
			"User: %s is not authorized to perform: sts:AssumeRole on resource: %s", caller.arn, v.form.Get("RoleArn"))})
	case chained && life > time.Hour:
		v.invalid("The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.")
	case life > role.MaxSession:
		v.invalid("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
	default:
		v.session(role, life, assumedResult{})
	}
}

type identity struct {
	XMLName  xml.Name                              `xml:"https://sts.amazonaws.com/doc/2011-06-15/ GetCallerIdentityResponse"`
	Result   struct{ Arn, UserId, Account string } `xml:"GetCallerIdentityResult"`
	Metadata metadata                              `xml:"ResponseMetadata"`
}

func (v *visit) callerIdentity() {
	p, _, ok := v.authenticate()
	if !ok {
		return
	}
	answer := identity{Metadata: metadata{guid()}}
	answer.Result.Arn, answer.Result.UserId, answer.Result.Account = p.arn, p.id, accountOf(p.source)
	v.xml(http.StatusOK, answer)
}

var (
	roleARN     = regexp.MustCompile(`^arn:aws[a-z-]*:iam::\d{12}:role/.+$`)
	sessionName = regexp.MustCompile(`^[\w+=,.@-]*$`)
)

// asked checks the parameters that both ways into a role have in common, before
// anything is looked up. A role that does not exist comes back empty: STS does
// not tell it from one that refuses. On failure asked has answered.
func (v *visit) asked() (role Role, trust *policy, life time.Duration, ok bool) {
	arn, name, seconds := v.form.Get("RoleArn"), v.form.Get("RoleSessionName"), 3600
	if s := v.form.Get("DurationSeconds"); s != "" {
		var err error
		if seconds, err = strconv.Atoi(s); err != nil {
			v.fail(apiError{http.StatusBadRequest, "MalformedInput", "DurationSeconds is not a number"})
			return
		}
	}
	constraint := func(field, value, rule string) {
		v.invalid(fmt.Sprintf("1 validation error detected: Value '%s' at '%s' failed to satisfy constraint: Member must %s", value, field, rule))
	}
	switch {
	case len(arn) < 20 || len(arn) > 2048:
		constraint("roleArn", arn, "have length between 20 and 2048")
	case !roleARN.MatchString(arn):
		v.invalid("Request ARN is invalid")
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
		v.w.mu.Lock()
		defer v.w.mu.Unlock()
		return v.w.roles[arn], v.w.policies[arn], time.Duration(seconds) * time.Second, true
	}
	return
}

func (v *visit) invalid(message string) {
	v.fail(apiError{http.StatusBadRequest, "ValidationError", message})
}
