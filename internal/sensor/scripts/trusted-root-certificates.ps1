$sha = [Security.Cryptography.SHA256]::Create()
Get-ChildItem Cert:\LocalMachine\Root | ForEach-Object {
    $sum = ($sha.ComputeHash($_.RawData) | ForEach-Object { $_.ToString('x2') }) -join ''
    Say $_.Subject (Moment $_.NotAfter) $sum
}
