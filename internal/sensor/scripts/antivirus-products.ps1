Get-CimInstance -Namespace root\SecurityCenter2 AntiVirusProduct | ForEach-Object {
    $state = [int]$_.productState
    $on = if (($state -band 0xf000) -eq 0x1000) { 'On' } else { 'Off' }
    $signatures = if (($state -band 0xf0) -eq 0) { 'Current' } else { 'Old' }
    Say $_.displayName $on $signatures
}
