"""Where rows come from: a configured source becomes a DataFrame of keyed, checked payloads."""
