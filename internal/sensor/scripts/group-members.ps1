$group = Given '||group||'
Get-LocalGroupMember -Name $group | ForEach-Object { Say $_.Name }
