# Installs docker-credential-ecr-oidc from its GitHub release on Windows, with PowerShell 5.1 or 7. See
# docs/install.md. All commands are in functions and run from the last lines, so that a truncated download
# does nothing.
#
# The defaults of the parameters are ECR_OIDC_VERSION, ECR_OIDC_INSTALL_DIR and ECR_OIDC_MIRROR. With
# ECR_OIDC_VERIFY=required, the script installs nothing unless cosign verifies the signature.
param(
    # Version to install, such as 0.1.0 or v0.1.0. The default is the latest release.
    [string] $Version = $env:ECR_OIDC_VERSION,
    # Directory of the binary. The default is %LOCALAPPDATA%\Programs\docker-credential-ecr-oidc.
    [string] $Dir = $env:ECR_OIDC_INSTALL_DIR,
    # Replaces the part of the release's URLs before /vVERSION/. Requires a version.
    [string] $Mirror = $env:ECR_OIDC_MIRROR
)

function Install-EcrOidc([string] $Version, [string] $Dir, [string] $Mirror) {
    Set-StrictMode -Version 2.0
    $ErrorActionPreference = 'Stop'
    $ProgressPreference = 'SilentlyContinue'

    # Receive-Response requests a URL without following redirects. It returns the target of a redirect. For
    # other responses, it writes the body to the file, unless the file name is empty, and returns ''. It uses
    # HttpWebRequest, because the redirects and errors of Invoke-WebRequest differ between 5.1 and 7.
    function Receive-Response([string] $Url, [string] $File) {
        $request = [System.Net.WebRequest]::CreateHttp($Url)
        $request.AllowAutoRedirect = $false
        $request.UserAgent = 'install.ps1'
        if ($request.RequestUri.IsLoopback) { $request.Proxy = $null } # the proxy is not on this machine
        $request.Timeout = 60000
        $request.ReadWriteTimeout = 60000
        # A mirror's URL may contain a login, which .NET does not send by default.
        $login = [System.Uri]::UnescapeDataString($request.RequestUri.UserInfo)
        if ($login) {
            $request.Headers['Authorization'] = 'Basic ' + [System.Convert]::ToBase64String([System.Text.Encoding]::UTF8.GetBytes($login))
        }
        try {
            $response = $request.GetResponse()
        } catch {
            $cause = $_.Exception
            while ($cause -isnot [System.Net.WebException] -and $null -ne $cause.InnerException) { $cause = $cause.InnerException }
            if ($cause -is [System.Net.WebException] -and $null -ne $cause.Response) {
                $status = [int] $cause.Response.StatusCode
                if ($status -eq 404) { throw 'not found' }
                throw "HTTP status $status"
            }
            throw $cause.Message
        }
        try {
            if ([int] $response.StatusCode -ge 300) { return [string] $response.Headers['Location'] }
            if ($File) {
                $out = [System.IO.File]::Create($File)
                try { $response.GetResponseStream().CopyTo($out) } finally { $out.Dispose() }
            }
        } finally {
            $response.Close()
        }
        return ''
    }

    # Hide-Login removes the login from a URL, for messages.
    function Hide-Login([string] $Url) { return $Url -replace '^([a-z]+://)[^/]*@', '$1' }

    # Test-Loopback reports whether a URL's host is this machine. It excludes the name "loopback", which .NET
    # accepts, but which DNS may resolve to another machine.
    function Test-Loopback([string] $Url) {
        $uri = $Url -as [System.Uri]
        return $null -ne $uri -and $uri.IsLoopback -and $uri.Host -ne 'loopback'
    }

    # Receive-File downloads a file. It follows redirects, but only to https.
    function Receive-File([string] $Url, [string] $File) {
        try {
            $current = $Url
            for ($redirects = 0; $redirects -lt 10; $redirects++) {
                $to = Receive-Response -Url $current -File $File
                if (-not $to) { return }
                $next = (New-Object -TypeName System.Uri -ArgumentList ([System.Uri] $current), $to).AbsoluteUri
                if ($next -notlike 'https://*') { throw 'it redirects to http' }
                $current = $next
            }
            throw 'more than 10 redirects'
        } catch {
            throw "downloading $(Hide-Login $Url): $($_.Exception.Message)"
        }
    }

    # Find-Cosign finds cosign 2.4 or later on PATH. If there is none, Path is '' and Missing is the reason. A
    # cosign without a version was built from source and is treated as new.
    function Find-Cosign {
        # In 5.1, output of a program to stderr would be an error that ends this script.
        $ErrorActionPreference = 'Continue'
        $PSNativeCommandUseErrorActionPreference = $false
        $found = @{ Path = ''; Major = 3; Missing = 'cosign is not on PATH' }
        $cosign = Get-Command -Name cosign -CommandType Application -ErrorAction SilentlyContinue | Select-Object -First 1
        if ($null -eq $cosign) { return $found }
        if ((& $cosign.Source version 2>$null | Out-String) -match 'GitVersion:\s+v?(\d+)\.(\d+)') {
            $found.Major = [int] $Matches[1]
            if ($found.Major -lt 2 -or ($found.Major -eq 2 -and [int] $Matches[2] -lt 4)) {
                $found.Missing = "cosign is version $($Matches[1]).$($Matches[2]); version 2.4 or later is required"
                return $found
            }
        }
        $found.Path = $cosign.Source
        return $found
    }

    # Test-Signature verifies with cosign, if it is available, that this repository's release workflow signed
    # checksums.txt at the tag of this version.
    function Test-Signature([hashtable] $Cosign, [string] $Base, [string] $Checksums, [string] $Identity) {
        if (-not $Cosign.Path) {
            Write-Host "signature not checked: $($Cosign.Missing)"
            return
        }
        $bundle = "$Checksums.sigstore.json"
        try {
            Receive-File -Url "$Base/checksums.txt.sigstore.json" -File $bundle
        } catch {
            throw "$($_.Exception.Message); without it, cosign cannot check the signature"
        }
        $ErrorActionPreference = 'Continue' # as above
        $PSNativeCommandUseErrorActionPreference = $false
        $arguments = @('verify-blob', '--bundle', $bundle, '--certificate-identity', $Identity,
            '--certificate-oidc-issuer', 'https://token.actions.githubusercontent.com')
        if ($Cosign.Major -eq 2) { $arguments += '--new-bundle-format' } # the default of later versions
        $output = @(& $Cosign.Path @arguments $Checksums 2>&1 | ForEach-Object { "$_".Trim() } | Where-Object { $_ })
        if ($LASTEXITCODE -ne 0) {
            $last = ''
            if ($output.Count -gt 0) { $last = $output[-1] }
            throw "cosign cannot verify that checksums.txt is signed by ${Identity}: $last; nothing was installed"
        }
        Write-Host "signature checked by cosign: $Identity"
    }

    # Install-Binary installs the binary atomically: a process that starts during the installation runs the old
    # or the new binary. If the old binary is in use, it is renamed and stays until the next installation.
    function Install-Binary([string] $From, [string] $Dir, [string] $Program) {
        $target = Join-Path $Dir "$Program.exe"
        $new = Join-Path $Dir ".$Program.$PID.exe"
        if (Test-Path -LiteralPath $target -PathType Container) { throw "$target is a directory; move it away" }
        try {
            try {
                Copy-Item -LiteralPath $From -Destination $new -Force
            } catch {
                throw "writing to ${Dir}: $($_.Exception.Message)"
            }
            try {
                $runs = & $new version
            } catch {
                throw "the downloaded binary does not run: $($_.Exception.Message); nothing was installed"
            }
            if ($LASTEXITCODE -ne 0) { throw "the downloaded binary does not run: exit $LASTEXITCODE; nothing was installed" }
            Get-ChildItem -LiteralPath $Dir -Filter "$Program.exe.*.old" -File -ErrorAction SilentlyContinue |
                Remove-Item -Force -ErrorAction SilentlyContinue
            try {
                if (Test-Path -LiteralPath $target) {
                    $old = "$target.$PID.old"
                    [System.IO.File]::Replace($new, $target, $old)
                    Remove-Item -LiteralPath $old -Force -ErrorAction SilentlyContinue
                } else {
                    [System.IO.File]::Move($new, $target)
                }
            } catch {
                throw "writing ${target}: $($_.Exception.Message)"
            }
        } finally {
            if (Test-Path -LiteralPath $new) { Remove-Item -LiteralPath $new -Force -ErrorAction SilentlyContinue }
        }
        Write-Host "installed ${target}: $runs"
    }

    # Add-ToPath adds the directory to PATH for later steps of a GitHub job, or warns that it is not on PATH.
    function Add-ToPath([string] $Dir, [string] $Program) {
        $known = @($env:PATH -split ';' | ForEach-Object { $_.TrimEnd('\') })
        if ($known -contains $Dir.TrimEnd('\')) {
            $first = Get-Command -Name "$Program.exe" -CommandType Application -ErrorAction SilentlyContinue | Select-Object -First 1
            if ($null -ne $first -and $first.Source -ne (Join-Path $Dir "$Program.exe")) {
                Write-Warning "PATH has $($first.Source) before $Dir\$Program.exe"
            }
        } elseif ($env:GITHUB_ACTIONS -eq 'true' -and $env:GITHUB_PATH) {
            [System.IO.File]::AppendAllText($env:GITHUB_PATH, "$Dir`n")
            Write-Host "$Dir is on PATH in later steps of this job"
        } else {
            $quoted = [System.Management.Automation.Language.CodeGeneration]::EscapeSingleQuotedStringContent($Dir)
            Write-Warning ("$Dir is not on PATH, where Docker looks for $Program; add it: " +
                "[Environment]::SetEnvironmentVariable('Path', '$quoted;' + " +
                "[Environment]::GetEnvironmentVariable('Path', 'User'), 'User')")
        }
    }

    $program = 'docker-credential-ecr-oidc'
    $repository = "https://github.com/ecr-oidc/$program"

    if ([System.Environment]::OSVersion.Platform -ne [System.PlatformID]::Win32NT) {
        throw 'this script is for Windows; on other systems, use install.sh'
    }
    $machine = $env:PROCESSOR_ARCHITEW6432 # the system's architecture if this PowerShell is emulated
    if (-not $machine) { $machine = $env:PROCESSOR_ARCHITECTURE }
    $arch = switch ($machine) {
        'AMD64' { 'amd64' }
        'ARM64' { 'arm64' }
        default { throw "there is no release for $machine; to build it from source: go install github.com/ecr-oidc/$program/cmd/$program@latest" }
    }
    if ($PSVersionTable.PSVersion.Major -lt 6 -and [int] [System.Net.ServicePointManager]::SecurityProtocol -ne 0) {
        # Old systems do not enable TLS 1.2. The value 0, the system's default, includes it.
        [System.Net.ServicePointManager]::SecurityProtocol =
            [System.Net.ServicePointManager]::SecurityProtocol -bor [System.Net.SecurityProtocolType]::Tls12
    }

    $Version = $Version -replace '^v', ''
    if (-not $Version -or $Version -eq 'latest') {
        if ($Mirror) { throw 'a mirror has no latest version; specify one with -Version or ECR_OIDC_VERSION' }
        # Unlike the API, this redirect has no rate limit.
        try {
            $to = Receive-Response -Url "$repository/releases/latest" -File ''
        } catch {
            throw "requesting the latest version: $($_.Exception.Message); specify one with -Version"
        }
        if (-not $to.StartsWith("$repository/releases/tag/v")) {
            throw "requesting the latest version: $repository/releases/latest redirects to no release; specify one with -Version"
        }
        $Version = $to.Substring("$repository/releases/tag/v".Length)
    }
    if ($Version -cnotmatch '^[0-9]+\.[0-9]+\.[0-9]+[0-9A-Za-z.+-]*$') { throw "$Version is not a version; use a version such as 0.1.0" }
    if ($Mirror -like 'http://*' -and -not (Test-Loopback $Mirror)) {
        throw 'the mirror must begin with https://: with http, an attacker in the network can replace the archive and its checksum'
    } elseif ($Mirror -and $Mirror -notlike 'https://*' -and $Mirror -notlike 'http://*') {
        throw 'the mirror must begin with https://'
    }
    $cosign = Find-Cosign
    if ($env:ECR_OIDC_VERIFY -and $env:ECR_OIDC_VERIFY -cne 'required') {
        throw "ECR_OIDC_VERIFY is $env:ECR_OIDC_VERIFY; set it to `"required`", or unset it"
    }
    if ($env:ECR_OIDC_VERIFY -and -not $cosign.Path) {
        throw "ECR_OIDC_VERIFY is required, but $($cosign.Missing); install cosign 2.4 or later"
    }
    $base = "$repository/releases/download"
    if ($Mirror) { $base = $Mirror.TrimEnd('/') }
    $base = "$base/v$Version"
    $archive = "${program}_${Version}_windows_$arch.zip"

    if (-not $Dir) { $Dir = Join-Path $env:LOCALAPPDATA "Programs\$program" }
    # A line break would add a line to GITHUB_PATH, and a semicolon a directory to PATH. The working directory
    # may contain a semicolon too, so the check is on the full path. File names on Windows contain no line
    # breaks.
    if ($Dir -match '[\x00-\x1f\x7f]') {
        throw 'the path of the directory contains a control character; specify another with -Dir'
    }
    try {
        $Dir = (New-Item -ItemType Directory -Force -Path $Dir).FullName
    } catch {
        throw "creating the directory ${Dir}: $($_.Exception.Message); specify another with -Dir"
    }
    if ($Dir.Contains(';')) {
        throw "the directory is $Dir; its path must not contain a semicolon; specify another with -Dir"
    }
    $temporary = Join-Path ([System.IO.Path]::GetTempPath()) ([System.IO.Path]::GetRandomFileName())
    $null = New-Item -ItemType Directory -Path $temporary
    try {
        $checksums = Join-Path $temporary 'checksums.txt'
        try {
            Receive-File -Url "$base/checksums.txt" -File $checksums
        } catch {
            $message = $_.Exception.Message
            if ($message.EndsWith(': not found')) { $message += "; check that version $Version exists" }
            throw $message
        }
        Test-Signature -Cosign $cosign -Base $base -Checksums $checksums -Identity "$repository/.github/workflows/release.yml@refs/tags/v$Version"
        $want = ''
        foreach ($line in [System.IO.File]::ReadAllLines($checksums)) {
            if (-not $want -and $line -match '^([0-9A-Fa-f]{64}) [ *](.+)$' -and $Matches[2] -ceq $archive) { $want = $Matches[1] }
        }
        if (-not $want) { throw "version $Version has no build for windows/${arch}: checksums.txt does not list $archive" }
        $zip = Join-Path $temporary $archive
        Receive-File -Url "$base/$archive" -File $zip
        # Get-FileHash and Expand-Archive fail in a 5.1 that was started by 7: it finds 7's modules, but cannot
        # load them.
        $stream = [System.IO.File]::OpenRead($zip)
        try {
            $got = [System.BitConverter]::ToString([System.Security.Cryptography.SHA256]::Create().ComputeHash($stream))
        } finally {
            $stream.Dispose()
        }
        $got = $got.Replace('-', '').ToLowerInvariant()
        if ($got -ne $want) { throw "checksum mismatch: $(Hide-Login $base)/$archive has $got, checksums.txt lists $want; nothing was installed" }
        Write-Host "checksum ok: $archive $got"
        $unpacked = Join-Path $temporary 'unpacked'
        try {
            Add-Type -AssemblyName System.IO.Compression.FileSystem
            [System.IO.Compression.ZipFile]::ExtractToDirectory($zip, $unpacked)
        } catch {
            throw "unpacking ${archive}: $($_.Exception.Message); nothing was installed"
        }
        Install-Binary -From (Join-Path $unpacked "$program.exe") -Dir $Dir -Program $program
        Add-ToPath -Dir $Dir -Program $program
    } finally {
        Remove-Item -LiteralPath $temporary -Recurse -Force -ErrorAction SilentlyContinue
    }
}

# If the script runs as a file, an error is one line and exit code 1. If it runs as text ("irm ... | iex"), the
# error is thrown, because exit would close the window.
try {
    Install-EcrOidc -Version $Version -Dir $Dir -Mirror $Mirror
} catch {
    if ($MyInvocation.MyCommand -isnot [System.Management.Automation.ExternalScriptInfo]) { throw "install.ps1: $($_.Exception.Message)" }
    [System.Console]::Error.WriteLine("install.ps1: $($_.Exception.Message)")
    exit 1
}
