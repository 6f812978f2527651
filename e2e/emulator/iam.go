package emulator

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Role is an IAM role.
//
// Push and Pull grant access to the repositories whose names match one of their patterns ("*" for
// all). A pattern applies to the role's own account. With a prefix, as in "210987654321:team/*", it
// applies to another account, as if that account had a repository policy that allows it; "*:*" applies
// to all accounts. Repositories of public.ecr.aws have their alias in the name: "acme/app".
type Role struct {
	ARN         string
	Trust       string        // trust policy; if empty, nothing can assume the role
	Policy      string        // identity policy; if set, it replaces all fields below except MaxSession
	Push, Pull  []string      // patterns of repository names
	NoLogin     bool          // the role does not have ecr:GetAuthorizationToken
	MaxSession  time.Duration // default 1 hour, as in IAM
	PublicLogin bool          // the role has ecr-public:GetAuthorizationToken
}

// User is an IAM user with an access key. It may call sts:AssumeRole.
type User struct {
	ARN, AccessKeyID, SecretAccessKey string
	Push, Pull                        []string // as in Role
	NoLogin                           bool
}

// principal is a user or a role session.
type principal struct {
	arn     string // as in GetCallerIdentity
	source  string // ARN of the role or user that has the permissions
	id      string // UserId in GetCallerIdentity
	keyID   string
	secret  string
	token   string    // session token; empty for a user
	expires time.Time // zero for a user
	session *policy   // session policy; nil for none
}

// AddRole adds a role or replaces the one with the same ARN. It panics if the emulator cannot
// evaluate a policy, because that is a mistake in the test.
func (s *Server) AddRole(r Role) {
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
	trust, identity := parse(r.Trust), parse(r.Policy)
	r.MaxSession = or(r.MaxSession, time.Hour)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.roles[r.ARN], s.trustPolicies[r.ARN], s.identityPolicies[r.ARN] = r, trust, identity
}

// AddProvider adds an IAM OpenID Connect provider to an account or replaces the one with the same
// issuer. The issuer may omit https://.
func (s *Server) AddProvider(account, issuer string, clientIDs ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.providers[account] == nil {
		s.providers[account] = map[string][]string{}
	}
	s.providers[account][strings.TrimPrefix(issuer, "https://")] = clientIDs
}

// AddUser adds a user with its access key.
func (s *Server) AddUser(u User) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users[u.ARN] = u
	s.principals[u.AccessKeyID] = principal{
		arn: u.ARN, source: u.ARN, id: "AIDA" + randomKeyID(), keyID: u.AccessKeyID,
		secret: u.SecretAccessKey,
	}
}

// newSession starts a session of a role, without checking whether the caller may assume it.
func (s *Server) newSession(role, name string, ttl time.Duration, session *policy) principal {
	p := principal{
		arn: sessionARN(role, name), source: role, id: "AROA" + randomKeyID() + ":" + name,
		keyID: "ASIA" + randomKeyID(), secret: base64.StdEncoding.EncodeToString(randomBytes(30)),
		token: "IQoJb3JpZ2luX2Vj" + randomBase64(600), expires: s.now().Add(ttl).Truncate(time.Second),
		session: session,
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.principals[p.keyID] = p
	return p
}

// allowsLogin reports whether a principal may call GetAuthorizationToken of ecr or ecr-public.
func (s *Server) allowsLogin(p principal, service string) bool {
	request := policyRequest{action: service + ":GetAuthorizationToken", resource: "*"}
	if p.session != nil && !p.session.allows(request) {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if u, ok := s.users[p.source]; ok {
		return !u.NoLogin && service == "ecr"
	}
	if identity := s.identityPolicies[p.source]; identity != nil {
		return identity.allows(request)
	}
	r := s.roles[p.source]
	if service == "ecr-public" {
		return r.PublicLogin
	}
	return !r.NoLogin
}

// allowsRepository reports whether a principal may perform an action on a repository.
func (s *Server) allowsRepository(p principal, action string, e endpoint, repo string) bool {
	request := policyRequest{action: repositoryAction(e, action), resource: repositoryARN(e, repo)}
	if p.session != nil && !p.session.allows(request) {
		return false
	}
	s.mu.Lock()
	r, u, identity := s.roles[p.source], s.users[p.source], s.identityPolicies[p.source]
	s.mu.Unlock()
	if identity != nil {
		// Access to another account also requires a repository policy, which the emulator
		// does not have.
		return (e.account == accountOf(p.source) || e.account == "public") && identity.allows(request)
	}
	patterns := slices.Concat(r.Push, u.Push)
	switch action {
	case "BatchGetImage", "GetDownloadUrlForLayer", "ListImages":
		patterns = slices.Concat(r.Pull, u.Pull)
	case "BatchCheckLayerAvailability": // part of both push and pull
		patterns = slices.Concat(patterns, r.Pull, u.Pull)
	}
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		account, name, hasAccount := strings.Cut(pattern, ":")
		if !hasAccount {
			account, name = accountOf(p.source), pattern
			if e.account == "public" { // one registry for all accounts
				account = "public"
			}
		}
		return like(account, e.account) && like(name, repo)
	})
}

func repositoryAction(e endpoint, action string) string {
	if e.account == "public" {
		return "ecr-public:" + action
	}
	return "ecr:" + action
}

func repositoryARN(e endpoint, repo string) string {
	if e.account == "public" {
		return "arn:aws:ecr-public::" + repo
	}
	return "arn:" + partitionOf(e.region).name + ":ecr:" + e.region + ":" + e.account + ":repository/" + repo
}

// accountOf returns the account of an ARN: arn:PARTITION:iam::ACCOUNT:role/NAME.
func accountOf(arn string) string { return arnPart(arn, 4) }

func arnPart(arn string, i int) string {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) < 6 {
		return ""
	}
	return parts[i]
}

// sessionARN returns the ARN of a role session, which does not contain the role's path.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html
func sessionARN(role, name string) string {
	roleName := role[strings.LastIndex(role, "/")+1:]
	return "arn:" + arnPart(role, 1) + ":sts::" + accountOf(role) + ":assumed-role/" + roleName + "/" + name
}
