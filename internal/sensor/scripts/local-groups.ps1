Get-LocalGroup | ForEach-Object {
    $group = $_
    $members = try { (Get-LocalGroupMember -SID $group.SID | ForEach-Object { $_.Name }) -join ', ' } catch { '' } # a member that its domain has removed
    Say $group.Name ($group.SID.Value -replace '.*-', '') $members
}
