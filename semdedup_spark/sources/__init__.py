"""Input: a configured source becomes a DataFrame of checked payloads with unique ids."""
