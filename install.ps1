# Installs docker-credential-ecr-oidc from its GitHub release, on Windows, with PowerShell 5.1 or 7. docs/install.md says
# how. Nothing runs before the last lines, so that a download which was cut off does nothing.
#
# What is not given as a parameter comes from ECR_OIDC_VERSION, ECR_OIDC_INSTALL_DIR and ECR_OIDC_MIRROR. With
# ECR_OIDC_VERIFY=required it installs nothing unless cosign verifies the signature.
param(
    # 0.1.0 or v0.1.0; without it the latest release.
    [string] $Version = $env:ECR_OIDC_VERSION,
    # Where the binary goes; without it %LOCALAPPDATA%\Programs\docker-credential-ecr-oidc.
    [string] $Dir = $env:ECR_OIDC_INSTALL_DIR,
    # Takes the place of all before /vVERSION/ in the release's addresses; needs a version.
    [string] $Mirror = $env:ECR_OIDC_MIRROR
)

function Install-EcrOidc([string] $Version, [string] $Dir, [string] $Mirror) {
    Set-StrictMode -Version 2.0
    $ErrorActionPreference = 'Stop'
    $ProgressPreference = 'SilentlyContinue'

    # Receive-Once asks a URL once. It returns where a redirect leads, or writes the body into the file, if one is named, and
    # returns ''. This is HttpWebRequest because 5.1 and 7 agree about it, and differ in Invoke-WebRequest's redirects and
    # errors.
    function Receive-Once([string] $Url, [string] $File) {
        $request = [System.Net.WebRequest]::CreateHttp($Url)
        $request.AllowAutoRedirect = $false
        $request.UserAgent = 'install.ps1'
        if ($request.RequestUri.IsLoopback) { $request.Proxy = $null } # which would be on the way
        $request.Timeout = 60000
        $request.ReadWriteTimeout = 60000
        # A mirror's URL may have a login in it, which .NET does not send by itself.
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

    # Hide-Login takes the login out of a URL, for messages.
    function Hide-Login([string] $Url) { return $Url -replace '^([a-z]+://)[^/]*@', '$1' }

    # Test-Loopback says whether a URL's host is this machine. .NET takes the name "loopback" for it too, and DNS may not.
    function Test-Loopback([string] $Url) {
        $uri = $Url -as [System.Uri]
        return $null -ne $uri -and $uri.IsLoopback -and $uri.Host -ne 'loopback'
    }

    # Receive-File downloads, along redirects, of which none leads from https, or from loopback, to http.
    function Receive-File([string] $Url, [string] $File) {
        try {
            $at = $Url
            for ($hop = 0; $hop -lt 10; $hop++) {
                $to = Receive-Once -Url $at -File $File
                if (-not $to) { return }
                $next = (New-Object -TypeName System.Uri -ArgumentList ([System.Uri] $at), $to).AbsoluteUri
                if ($next -notlike 'https://*') { throw 'it leads away from https' }
                $at = $next
            }
            throw 'it leads from one address to the next, ten times'
        } catch {
            throw "downloading $(Hide-Login $Url): $($_.Exception.Message)"
        }
    }

    # Find-Cosign looks for a cosign that reads our signatures, which it does from 2.4 on. One that does not know its version
    # was built by hand, and is new.
    function Find-Cosign {
        # What a program writes to stderr would be an error that ends this script, in 5.1.
        $ErrorActionPreference = 'Continue'
        $PSNativeCommandUseErrorActionPreference = $false
        $found = @{ Path = ''; Major = 3; Missing = 'cosign is not on PATH' }
        $cosign = Get-Command -Name cosign -CommandType Application -ErrorAction SilentlyContinue | Select-Object -First 1
        if ($null -eq $cosign) { return $found }
        if ((& $cosign.Source version 2>$null | Out-String) -match 'GitVersion:\s+v?(\d+)\.(\d+)') {
            $found.Major = [int] $Matches[1]
            if ($found.Major -lt 2 -or ($found.Major -eq 2 -and [int] $Matches[2] -lt 4)) {
                $found.Missing = "cosign is $($Matches[1]).$($Matches[2]), and 2.4 is the first that can"
                return $found
            }
        }
        $found.Path = $cosign.Source
        return $found
    }

    # Test-Signature asks cosign, where there is one, whether our release workflow at this version's tag signed checksums.txt.
    function Test-Signature([hashtable] $Cosign, [string] $Base, [string] $Checksums, [string] $Identity) {
        if (-not $Cosign.Path) {
            Write-Host "signature not checked: $($Cosign.Missing)"
            return
        }
        $bundle = "$Checksums.sigstore.json"
        try {
            Receive-File -Url "$Base/checksums.txt.sigstore.json" -File $bundle
        } catch {
            throw "$($_.Exception.Message); cosign is here and has nothing to check"
        }
        $ErrorActionPreference = 'Continue' # as above
        $PSNativeCommandUseErrorActionPreference = $false
        $arguments = @('verify-blob', '--bundle', $bundle, '--certificate-identity', $Identity,
            '--certificate-oidc-issuer', 'https://token.actions.githubusercontent.com')
        if ($Cosign.Major -eq 2) { $arguments += '--new-bundle-format' } # later ones take that for granted
        $said = @(& $Cosign.Path @arguments $Checksums 2>&1 | ForEach-Object { "$_".Trim() } | Where-Object { $_ })
        if ($LASTEXITCODE -ne 0) {
            $last = ''
            if ($said.Count -gt 0) { $last = $said[-1] }
            throw "cosign does not find checksums.txt signed by ${Identity}: $last; nothing was installed"
        }
        Write-Host "signature checked by cosign: $Identity"
    }

    # Install-Binary puts what was unpacked in its place, in one step: a process that starts meanwhile finds the old one or
    # the new one. One that runs from the old one keeps it, under another name, until the next installation.
    function Install-Binary([string] $From, [string] $Dir, [string] $Program) {
        $target = Join-Path $Dir "$Program.exe"
        $new = Join-Path $Dir ".$Program.$PID.exe"
        if (Test-Path -LiteralPath $target -PathType Container) { throw "$target is a directory; move it away" }
        try {
            try {
                Copy-Item -LiteralPath $From -Destination $new -Force
            } catch {
                throw "writing into ${Dir}: $($_.Exception.Message)"
            }
            try {
                $runs = & $new version
            } catch {
                throw "what was downloaded does not run here: $($_.Exception.Message); nothing was installed"
            }
            if ($LASTEXITCODE -ne 0) { throw "what was downloaded does not run here: exit $LASTEXITCODE; nothing was installed" }
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

    # Add-Later makes the directory known to what comes after this script, or says that it is not.
    function Add-Later([string] $Dir, [string] $Program) {
        $known = @($env:PATH -split ';' | ForEach-Object { $_.TrimEnd('\') })
        if ($known -contains $Dir.TrimEnd('\')) {
            $first = Get-Command -Name "$Program.exe" -CommandType Application -ErrorAction SilentlyContinue | Select-Object -First 1
            if ($null -ne $first -and $first.Source -ne (Join-Path $Dir "$Program.exe")) {
                Write-Warning "PATH finds $($first.Source) before $Dir\$Program.exe"
            }
        } elseif ($env:GITHUB_ACTIONS -eq 'true' -and $env:GITHUB_PATH) {
            [System.IO.File]::AppendAllText($env:GITHUB_PATH, "$Dir`n")
            Write-Host "$Dir is on PATH in this job's later steps"
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
        throw 'this is for Windows; elsewhere there is install.sh'
    }
    $machine = $env:PROCESSOR_ARCHITEW6432 # what the system is, where this PowerShell is emulated
    if (-not $machine) { $machine = $env:PROCESSOR_ARCHITECTURE }
    $arch = switch ($machine) {
        'AMD64' { 'amd64' }
        'ARM64' { 'arm64' }
        default { throw "there is no release for $machine; with Go: go install github.com/ecr-oidc/$program/cmd/$program@latest" }
    }
    if ($PSVersionTable.PSVersion.Major -lt 6 -and [int] [System.Net.ServicePointManager]::SecurityProtocol -ne 0) {
        # Old systems leave TLS 1.2 out; 0 is the system's choice, which does not.
        [System.Net.ServicePointManager]::SecurityProtocol =
            [System.Net.ServicePointManager]::SecurityProtocol -bor [System.Net.SecurityProtocolType]::Tls12
    }

    $Version = $Version -replace '^v', ''
    if (-not $Version -or $Version -eq 'latest') {
        if ($Mirror) { throw 'a mirror has no latest version; name one with -Version or ECR_OIDC_VERSION' }
        # One redirect, and none of the API's rate limits.
        try {
            $to = Receive-Once -Url "$repository/releases/latest" -File ''
        } catch {
            throw "asking for the latest version: $($_.Exception.Message); name one with -Version"
        }
        if (-not $to.StartsWith("$repository/releases/tag/v")) {
            throw "asking for the latest version: $repository/releases/latest leads to no release; name one with -Version"
        }
        $Version = $to.Substring("$repository/releases/tag/v".Length)
    }
    if ($Version -cnotmatch '^[0-9]+\.[0-9]+\.[0-9]+[0-9A-Za-z.+-]*$') { throw "$Version is not a version; one is like 0.1.0" }
    if ($Mirror -like 'http://*' -and -not (Test-Loopback $Mirror)) {
        throw 'the mirror must begin with https://: over http anybody on the way can change what comes, and its checksum'
    } elseif ($Mirror -and $Mirror -notlike 'https://*' -and $Mirror -notlike 'http://*') {
        throw 'the mirror must begin with https://'
    }
    $cosign = Find-Cosign
    if ($env:ECR_OIDC_VERIFY -and $env:ECR_OIDC_VERIFY -cne 'required') {
        throw "ECR_OIDC_VERIFY is $env:ECR_OIDC_VERIFY; it is `"required`", or not set"
    }
    if ($env:ECR_OIDC_VERIFY -and -not $cosign.Path) {
        throw "ECR_OIDC_VERIFY=required, and $($cosign.Missing); install cosign 2.4 or later"
    }
    $base = "$repository/releases/download"
    if ($Mirror) { $base = $Mirror.TrimEnd('/') }
    $base = "$base/v$Version"
    $archive = "${program}_${Version}_windows_$arch.zip"

    if (-not $Dir) { $Dir = Join-Path $env:LOCALAPPDATA "Programs\$program" }
    # A line break would add a line to GITHUB_PATH, and a semicolon a folder to PATH. The
    # semicolon may also come from the working directory, so it is looked for in the full path.
    # Windows has no names with line breaks.
    if ($Dir -match '[\x00-\x1f\x7f]') {
        throw 'the path of the directory contains a control character; name another with -Dir'
    }
    try {
        $Dir = (New-Item -ItemType Directory -Force -Path $Dir).FullName
    } catch {
        throw "making the directory ${Dir}: $($_.Exception.Message); name another with -Dir"
    }
    if ($Dir.Contains(';')) {
        throw "the directory is $Dir; its path cannot contain a semicolon; name another with -Dir"
    }
    $temporary = Join-Path ([System.IO.Path]::GetTempPath()) ([System.IO.Path]::GetRandomFileName())
    $null = New-Item -ItemType Directory -Path $temporary
    try {
        $checksums = Join-Path $temporary 'checksums.txt'
        try {
            Receive-File -Url "$base/checksums.txt" -File $checksums
        } catch {
            $message = $_.Exception.Message
            if ($message.EndsWith(': not found')) { $message += "; is there a version ${Version}?" }
            throw $message
        }
        Test-Signature -Cosign $cosign -Base $base -Checksums $checksums -Identity "$repository/.github/workflows/release.yml@refs/tags/v$Version"
        $want = ''
        foreach ($line in [System.IO.File]::ReadAllLines($checksums)) {
            if (-not $want -and $line -match '^([0-9A-Fa-f]{64}) [ *](.+)$' -and $Matches[2] -ceq $archive) { $want = $Matches[1] }
        }
        if (-not $want) { throw "version $Version has no build for windows/${arch}: checksums.txt does not name $archive" }
        $zip = Join-Path $temporary $archive
        Receive-File -Url "$base/$archive" -File $zip
        # Not Get-FileHash and Expand-Archive: 5.1 finds 7's modules, and cannot load them, in what was started from 7.
        $stream = [System.IO.File]::OpenRead($zip)
        try {
            $got = [System.BitConverter]::ToString([System.Security.Cryptography.SHA256]::Create().ComputeHash($stream))
        } finally {
            $stream.Dispose()
        }
        $got = $got.Replace('-', '').ToLowerInvariant()
        if ($got -ne $want) { throw "checksum mismatch: $(Hide-Login $base)/$archive has $got, checksums.txt says $want; nothing was installed" }
        Write-Host "checksum ok: $archive $got"
        $unpacked = Join-Path $temporary 'unpacked'
        try {
            Add-Type -AssemblyName System.IO.Compression.FileSystem
            [System.IO.Compression.ZipFile]::ExtractToDirectory($zip, $unpacked)
        } catch {
            throw "unpacking ${archive}: $($_.Exception.Message); nothing was installed"
        }
        Install-Binary -From (Join-Path $unpacked "$program.exe") -Dir $Dir -Program $program
        Add-Later -Dir $Dir -Program $program
    } finally {
        Remove-Item -LiteralPath $temporary -Recurse -Force -ErrorAction SilentlyContinue
    }
}

# Run as a file, a failure is one line and exit 1. As text ("irm ... | iex") it is thrown: exit would close the window.
try {
    Install-EcrOidc -Version $Version -Dir $Dir -Mirror $Mirror
} catch {
    if ($MyInvocation.MyCommand -isnot [System.Management.Automation.ExternalScriptInfo]) { throw "install.ps1: $($_.Exception.Message)" }
    [System.Console]::Error.WriteLine("install.ps1: $($_.Exception.Message)")
    exit 1
}
