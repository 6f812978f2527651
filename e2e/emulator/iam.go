package emulator

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Role is an IAM role. Push and Pull are globs of repository names in the
// role's own account, "*" for all; "210987654321:team/*" means another
// account's, whose repository policy would then allow it, and "*:*" everyone's.
type Role struct {
	ARN        string
	Trust      string        // the trust policy; empty trusts nobody
	Policy     string        // its permissions as an identity policy, in place of all below but MaxSession
	Push, Pull []string      // of public.ecr.aws too, with the alias: "acme/app"
	NoLogin    bool          // lacks ecr:GetAuthorizationToken
	MaxSession time.Duration // default 1 hour, as in IAM
	PublicLogin     bool          // may use ecr-public
}

// User is an IAM user with an access key. It may call sts:AssumeRole.
type User struct {
	ARN, AccessKeyID, SecretAccessKey string
	Push, Pull                        []string
	NoLogin                           bool
}

// principal is someone with AWS credentials.
type principal struct {
	arn     string // as GetCallerIdentity says it
	source  string // ARN of the role or user whose permissions it has
	id      string // as GetCallerIdentity's UserId
	keyID   string
	secret  string
	token   string    // session token; empty for a user
	expires time.Time // zero for a user
	session *policy   // session policy; nil for none
}

// AddRole adds a role, in place of one of the same ARN. It panics on a policy
// that cannot be evaluated: that is a mistake in the test.
func (w *Server) AddRole(r Role) {
	parse := func(text string) *policy {
		if text == "" {
			return nil
		}
		p, err := parsePolicy(text)
		if err != nil {
			panic(fmt.Sprintf("role %s: %v", r.ARN, err))
		}
		return p
	}
	trust, permissions := parse(r.Trust), parse(r.Policy)
	r.MaxSession = or(r.MaxSession, time.Hour)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.roles[r.ARN], w.policies[r.ARN], w.permissions[r.ARN] = r, trust, permissions
}

// AddProvider adds an IAM OpenID Connect provider for an issuer (with or
// without https://) to an account, in place of an older one.
func (w *Server) AddProvider(account, issuer string, clientIDs ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.providers[account] == nil {
		w.providers[account] = map[string][]string{}
	}
	w.providers[account][strings.TrimPrefix(issuer, "https://")] = clientIDs
}

// AddUser adds a user with its access key.
func (w *Server) AddUser(u User) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.users[u.ARN] = u
	w.keys[u.AccessKeyID] = principal{
		arn: u.ARN, source: u.ARN, id: "AIDA" + randomKeyID(), keyID: u.AccessKeyID, secret: u.SecretAccessKey,
	}
}

// open starts a session of a role. The caller has checked that it may.
func (w *Server) open(role, name string, life time.Duration, session *policy) principal {
	p := principal{
		arn: sessionARN(role, name), source: role, id: "AROA" + randomKeyID() + ":" + name,
		keyID: "ASIA" + randomKeyID(), secret: base64.StdEncoding.EncodeToString(random(30)),
		token: "IQoJb3JpZ2luX2Vj" + randomBase64(600), expires: w.now().Add(life).Truncate(time.Second),
		session: session,
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.keys[p.keyID] = p
	return p
}

// mayLogin reports whether a principal has GetAuthorizationToken of ecr or ecr-public.
func (w *Server) mayLogin(p principal, service string) bool {
	q := question{action: service + ":GetAuthorizationToken", resource: "*"}
	if p.session != nil && !p.session.allows(q) {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if u, ok := w.users[p.source]; ok {
		return !u.NoLogin && service == "ecr"
	}
	if permissions := w.permissions[p.source]; permissions != nil {
		return permissions.allows(q)
	}
	r := w.roles[p.source]
	if service == "ecr-public" {
		return r.PublicLogin
	}
	return !r.NoLogin
}

// mayUse reports whether a principal may do one thing to a repository.
func (w *Server) mayUse(p principal, what string, at place, repo string) bool {
	q := question{action: repositoryAction(at, what), resource: repositoryARN(at, repo)}
	if p.session != nil && !p.session.allows(q) {
		return false
	}
	w.mu.Lock()
	r, u, permissions := w.roles[p.source], w.users[p.source], w.permissions[p.source]
	w.mu.Unlock()
	if permissions != nil {
		// Another account's repository would need a policy of its own, which nobody has written.
		return (at.account == accountOf(p.source) || at.account == "public") && permissions.allows(q)
	}
	globs := slices.Concat(r.Push, u.Push)
	switch what {
	case "BatchGetImage", "GetDownloadUrlForLayer", "ListImages":
		globs = slices.Concat(r.Pull, u.Pull)
	case "BatchCheckLayerAvailability": // belongs to both
		globs = slices.Concat(globs, r.Pull, u.Pull)
	}
	return slices.ContainsFunc(globs, func(g string) bool {
		account, name, other := strings.Cut(g, ":")
		if !other {
			account, name = accountOf(p.source), g
			if at.account == "public" { // one registry for all accounts
				account = "public"
			}
		}
		return like(account, at.account) && like(name, repo)
	})
}

func repositoryAction(at place, what string) string {
	if at.account == "public" {
		return "ecr-public:" + what
	}
	return "ecr:" + what
}

func repositoryARN(at place, repo string) string {
	if at.account == "public" {
		return "arn:aws:ecr-public::" + repo
	}
	return "arn:" + partitionOf(at.region).name + ":ecr:" + at.region + ":" + at.account + ":repository/" + repo
}

// accountOf returns the account in an ARN: arn:PARTITION:iam::ACCOUNT:role/NAME.
func accountOf(arn string) string { return arnPart(arn, 4) }

func arnPart(arn string, i int) string {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) < 6 {
		return ""
	}
	return parts[i]
}

// sessionARN names a session; the role's path is not part of it.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html
func sessionARN(role, name string) string {
	last := role[strings.LastIndex(role, "/")+1:]
	return "arn:" + arnPart(role, 1) + ":sts::" + accountOf(role) + ":assumed-role/" + last + "/" + name
}
