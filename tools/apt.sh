# Functions for the scripts here that use apt; read with `.`, not run.

# signed_by FILE:N: the Signed-By of an apt source, that is of stanza N (.sources) or line N (.list), when it is a path.
signed_by()
{
    local file=${1%:*} number=${1##*:}
    case $file in
    *.sources)
        awk -v RS= -v n="$number" 'NR == n' "$file" | sed -n 's/^[Ss]igned-[Bb]y:[ \t]*\(\/[^ \t]*\).*/\1/p'
        ;;
    *)
        sed -n "${number}s/.*signed-by=\(\/[^] ,]*\).*/\1/p" "$file"
        ;;
    esac
}

# debian_sources KIND: "URI suite component keyring" of each of the system's Debian entries of one kind (Sources,
# Packages).
debian_sources()
{
    local origin uri suite component entry
    apt-get indextargets --format '$(ORIGIN)|$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(SOURCESENTRY)' "Created-By: $1" |
        sort -u | while IFS='|' read -r origin uri suite component entry; do
        if [ "$origin" = Debian ] && [ "$component" = main ]; then
            echo "$uri $suite $component $(signed_by "$entry")"
        fi
    done
}
