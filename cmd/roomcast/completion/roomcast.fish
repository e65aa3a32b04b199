# Completion of roomcast in fish: each word is asked from the program itself.
function __roomcast_complete
    set -l before (commandline -opc)
    set -l current (commandline -ct)
    set -l found ($before[1] __complete $before[2..] "$current" 2>/dev/null)
    if set -q found[1]
        printf '%s\n' $found
    else
        __fish_complete_path "$current"
    end
end
complete -c roomcast -f -a '(__roomcast_complete)'
