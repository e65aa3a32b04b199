#compdef roomcast
# Completion of roomcast in zsh: each word is asked from the program itself.
_roomcast() {
    local -a found
    local word meaning
    while IFS=$'\t' read -r word meaning; do
        found+=("${word//:/\\:}:$meaning")
    done < <("${words[1]}" __complete "${(@)words[2,CURRENT]}" 2>/dev/null)
    if (( ${#found} )); then
        _describe roomcast found
    else
        _files
    fi
}
if [[ "${funcstack[1]}" == _roomcast ]]; then
    _roomcast "$@"
else
    compdef _roomcast roomcast
fi
