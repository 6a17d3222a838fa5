$group = Get-LocalGroup -SID 'S-1-5-32-544' # by its number, since its name is translated
$path = [ADSI]"WinNT://$env:COMPUTERNAME/$($group.Name),group"
foreach ($member in @($path.Invoke('Members'))) {
    $name = $member.GetType().InvokeMember('ADsPath', 'GetProperty', $null, $member, $null) -replace '^WinNT://', '' -replace '/', '\'
    Say $name ('group ' + $group.Name)
}
