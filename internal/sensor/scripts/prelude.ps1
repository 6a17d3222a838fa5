# Put before each script for PowerShell: columns are parted by tabs, text is
# UTF-8, a mistake ends the script.
$ErrorActionPreference = 'Stop'
[Console]::OutputEncoding = New-Object System.Text.UTF8Encoding $false
function Say { ($args | ForEach-Object { ([string]$_).Trim() -replace '[\t\r\n]+', ' ' }) -join "`t" }
function Megabytes($n) { if ($null -ne $n) { '{0}MB' -f [math]::Floor($n / 1MB) } }
function Moment($d) {
    if ($null -ne $d) {
        ([datetime]$d).ToString('ddd, dd MMM yyyy HH:mm:ss zzz', [Globalization.CultureInfo]::InvariantCulture) -replace ':(\d\d)$', '$1'
    }
}
function Given($text) { [uri]::UnescapeDataString($text) }

