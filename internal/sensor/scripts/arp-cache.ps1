Get-NetNeighbor | Where-Object { $_.State -ne 'Unreachable' -and $_.LinkLayerAddress -and $_.LinkLayerAddress -notmatch '^(00-){5}00$|^FF-|^01-00-5E|^33-33' } | ForEach-Object {
    Say $_.IPAddress ($_.LinkLayerAddress -replace '-', ':').ToLower() $_.InterfaceAlias $_.State
}
