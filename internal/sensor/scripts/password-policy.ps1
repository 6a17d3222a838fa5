$file = [IO.Path]::GetTempFileName()
try {
    & "$env:SystemRoot\System32\secedit.exe" /export /areas SECURITYPOLICY /cfg $file /quiet | Out-Null
    $wanted = 'MinimumPasswordAge', 'MaximumPasswordAge', 'MinimumPasswordLength', 'PasswordComplexity', 'PasswordHistorySize',
        'LockoutBadCount', 'ResetLockoutCount', 'LockoutDuration', 'ClearTextPassword', 'ForceLogoffWhenHourExpire'
    foreach ($line in Get-Content $file) {
        $key, $value = $line -split '\s*=\s*', 2
        if ($wanted -contains $key) { Say $key $value 'Windows' }
    }
} finally { Remove-Item $file -Force }
