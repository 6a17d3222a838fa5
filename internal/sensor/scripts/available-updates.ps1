$searcher = (New-Object -ComObject Microsoft.Update.Session).CreateUpdateSearcher()
$searcher.Online = $false # what the machine's own last look has found
foreach ($update in $searcher.Search('IsInstalled=0 and IsHidden=0').Updates) {
    $name = @($update.KBArticleIDs | ForEach-Object { "KB$_" }) + $update.Title
    $categories = @($update.Categories | ForEach-Object { $_.Name })
    $security = if ($update.MsrcSeverity -or ($categories -match 'Security')) { 'True' } else { 'False' }
    Say ($name -join ' ') '' '' ($categories -join ', ') $security
}
