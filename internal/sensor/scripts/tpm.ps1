Get-CimInstance -Namespace root\cimv2\Security\MicrosoftTpm Win32_Tpm | ForEach-Object {
    $state = if ($_.IsEnabled_InitialValue) { 'Enabled' } else { 'Disabled' }
    Say 'TPM' (($_.SpecVersion -split ',')[0]) $state
}
