package emulator

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"regexp"
	"strings"
)

// AzureJob is a job of Azure Pipelines. The zero value is a build of the main branch by the
// pipeline app in the project shop of the organization acme.
type AzureJob struct {
	Organization, Project, Pipeline string // names, as in the subject
	Ref                             string // default refs/heads/main

	Connection      string // service connection of the step's task; the task sets a variable to its ID
	OtherConnection string // another service connection that the stage references
	Entra           bool   // Entra issues the tokens of both connections
	NoToken         bool   // the step does not map System.AccessToken into its environment
}

// Issuers and audiences of the tokens. The audience of an Entra token is the ID of the resource,
// not its URI. Its authorized party is the ID of Azure DevOps.
// https://learn.microsoft.com/azure/devops/pipelines/release/troubleshoot-workload-identity
// https://github.com/gravitational/teleport/blob/master/rfd/0211-azure-devops-joining.md
const (
	AzureTenant          = "b7c21d90-4e3f-4d8a-8f16-5a9c0e7d2b34"
	EntraIssuer          = "https://login.microsoftonline.com/" + AzureTenant + "/v2.0"
	AzureAudience        = "api://AzureADTokenExchange"
	EntraAudience        = "fb60f99c-7a34-4190-8149-302f77469936"
	EntraAuthorizedParty = "499b84ac-1321-427f-aa17-267ca6975798"

	azureIssuer = "https://vstoken.dev.azure.com/"
)

// AzureIssuer returns the issuer of an organization's tokens.
func AzureIssuer(organization string) string { return azureIssuer + azureID(organization) }

// EntraSubject returns the subject of Entra's tokens for a service connection.
func EntraSubject(organization, project, connection string) string {
	return "/eid1/c/pub/t/" + azureBase64(AzureTenant) + "/a/" + azureBase64(EntraAuthorizedParty) +
		"/sc/" + azureID(organization) + "/" + azureID(organization, project, connection)
}

// azureRun is a running job as its token endpoint sees it.
type azureRun struct {
	job         AzureJob
	path        string
	connections map[string]string // names of the service connections that the stage references, by ID
}

// Azure returns the environment of a step, with a token endpoint on loopback.
// https://learn.microsoft.com/azure/devops/pipelines/build/variables
func (s *Server) Azure(j AzureJob) map[string]string {
	j.Organization = or(j.Organization, "acme")
	j.Project = or(j.Project, "shop")
	j.Pipeline = or(j.Pipeline, "app")
	j.Ref = or(j.Ref, "refs/heads/main")
	_, branch := refParts(j.Ref)
	plan, id := newUUID(), newUUID()
	run := azureRun{job: j, connections: map[string]string{}}
	run.path = fmt.Sprintf("/%s/%s/_apis/distributedtask/hubs/build/plans/%s/jobs/%s/oidctoken",
		j.Organization, azureID(j.Organization, j.Project), plan, id)
	env := map[string]string{
		"TF_BUILD": "True", "SYSTEM_COLLECTIONURI": "https://dev.azure.com/" + j.Organization + "/",
		"SYSTEM_COLLECTIONID": azureID(j.Organization), "SYSTEM_TEAMPROJECT": j.Project,
		"SYSTEM_TEAMPROJECTID": azureID(j.Organization, j.Project), "SYSTEM_PLANID": plan,
		"SYSTEM_JOBID": id, "BUILD_BUILDID": "4711", "BUILD_DEFINITIONNAME": j.Pipeline,
		"BUILD_SOURCEBRANCH": j.Ref, "BUILD_SOURCEBRANCHNAME": branch, "BUILD_SOURCEVERSION": commitSHA,
		"SYSTEM_OIDCREQUESTURI": s.URL("azure") + run.path,
	}
	for _, name := range []string{j.Connection, j.OtherConnection} {
		if name != "" {
			run.connections[azureID(j.Organization, j.Project, name)] = name
		}
	}
	if j.Connection != "" { // AzureCLI@2 and AzurePowerShell@5, release notes of sprint 240
		env["AZURESUBSCRIPTION_SERVICE_CONNECTION_ID"] = azureID(j.Organization, j.Project, j.Connection)
	}
	if j.NoToken {
		return env
	}
	// The access token is a JWT, too:
	// https://github.com/microsoft/azure-devops-auth-samples/issues/89
	access := s.Mint("app.vstoken.visualstudio.com", map[string]any{"scp": "app_token"})
	env["SYSTEM_ACCESSTOKEN"] = access
	s.mu.Lock()
	defer s.mu.Unlock()
	s.azureRuns[access] = run
	return env
}

var azureGUID = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// azure serves SYSTEM_OIDCREQUESTURI.
//
// If the access token is invalid, it redirects requests without the header X-TFS-FedAuthRedirect to a
// sign-in page (https://github.com/Azure/azure-sdk-for-cpp/pull/6019). The stage must reference the
// service connection (https://github.com/dotnet/docker-tools/issues/2012). The name of a connection in
// place of its ID is ignored (Teleport's RFD 211, as above).
// https://learn.microsoft.com/rest/api/azure/devops/distributedtask/oidctoken/create
func (r *request) azure() {
	access, _ := strings.CutPrefix(r.httpReq.Header.Get("Authorization"), "Bearer ")
	r.server.mu.Lock()
	run, known := r.server.azureRuns[access]
	r.server.mu.Unlock()
	query := r.httpReq.URL.Query()
	id := query.Get("serviceConnectionId")
	name, referenced := run.connections[id]
	switch {
	case !known && r.httpReq.Header.Get("X-TFS-FedAuthRedirect") != "Suppress":
		r.Header().Set("Location", "https://spsprodcus3.vssps.visualstudio.com/_signin?realm=dev.azure.com")
		r.WriteHeader(http.StatusFound)
	case !known:
		r.writeError(apiError{http.StatusUnauthorized, "", "Unauthorized"})
	case r.endpoint.path != run.path:
		r.writeError(apiError{http.StatusNotFound, "", "No job found"})
	case r.httpReq.Method != http.MethodPost:
		r.writeError(apiError{http.StatusMethodNotAllowed, "",
			"The requested resource does not support this http method."})
	case query.Get("api-version") != "7.1":
		r.writeError(apiError{http.StatusBadRequest, "", "No api-version was supplied"})
	case r.httpReq.Header.Get("Content-Type") != "application/json":
		r.writeError(apiError{http.StatusUnsupportedMediaType, "", "Unsupported Media Type"})
	case azureGUID.MatchString(id) && !referenced:
		r.writeError(apiError{http.StatusNotFound, "",
			"There is no explicit reference to service connection " + id})
	case referenced && run.job.Entra:
		r.writeOIDCToken(r.server.entraToken(run.job, name))
	default:
		r.writeOIDCToken(r.server.azureToken(run.job, name))
	}
}

func (r *request) writeOIDCToken(token string) {
	r.writeJSON(http.StatusOK, map[string]string{"oidcToken": token})
}

// azureToken returns a token of a service connection or, without one, of the pipeline. Only the
// pipeline's token identifies the run (https://github.com/sigstore/fulcio/issues/1803, Teleport's
// RFD 211).
func (s *Server) azureToken(j AzureJob, connection string) string {
	now := s.now().Unix()
	claims := map[string]any{"aud": AzureAudience, "iat": now, "nbf": now - 600, "exp": now + 300}
	if connection != "" {
		claims["sub"] = "sc://" + j.Organization + "/" + j.Project + "/" + connection
		return s.Mint(AzureIssuer(j.Organization), claims)
	}
	claims["sub"] = "p://" + j.Organization + "/" + j.Project + "/" + j.Pipeline
	claims["org_id"], claims["prj_id"] = azureID(j.Organization), azureID(j.Organization, j.Project)
	claims["def_id"], claims["run_id"] = "1", "4711"
	claims["rpo_id"] = azureID(j.Organization, j.Project, "repository")
	claims["rpo_uri"] = "https://dev.azure.com/" + j.Organization + "/" + j.Project + "/_git/app"
	claims["rpo_ver"], claims["rpo_ref"] = commitSHA, j.Ref
	return s.Mint(AzureIssuer(j.Organization), claims)
}

// entraToken returns Entra's token of a service connection. It is valid from five minutes before the
// request and for a day after it (Teleport's RFD 211).
func (s *Server) entraToken(j AzureJob, connection string) string {
	begin := s.now().Unix() - 300
	return s.Mint(EntraIssuer, map[string]any{
		"sub": EntraSubject(j.Organization, j.Project, connection), "aud": EntraAudience,
		"azp": EntraAuthorizedParty, "azpacr": "2", "iat": begin, "nbf": begin, "exp": begin + 86700,
		"jti":   nil,
		"idtyp": "app", "oid": azureID(j.Organization, "principal"), "tid": AzureTenant, "ver": "2.0",
	})
}

// azureID returns the ID of an organization, a project or an object in a project. It is derived
// from the names.
func azureID(names ...string) string {
	b := sha256.Sum256([]byte(strings.Join(names, "/")))
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:16])
}

// azureBase64 encodes an ID as Entra does in its subjects: as the bytes of a .NET Guid, whose first
// three groups are little-endian.
func azureBase64(id string) string {
	b, err := hex.DecodeString(strings.ReplaceAll(id, "-", ""))
	if err != nil {
		panic(err) // cannot happen: all IDs are constants or from azureID
	}
	b[0], b[1], b[2], b[3] = b[3], b[2], b[1], b[0]
	b[4], b[5], b[6], b[7] = b[5], b[4], b[7], b[6]
	return base64.RawURLEncoding.EncodeToString(b)
}
