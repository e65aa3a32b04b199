# Completion of roomcast in bash: each word is asked from the program itself.
_roomcast() {
    local word meaning
    COMPREPLY=()
    while IFS=$'\t' read -r word meaning; do
        COMPREPLY+=("$word")
    done < <("${COMP_WORDS[0]}" __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -o bashdefault -o default -F _roomcast roomcast
