"""Screening answers, from Observations and QuestionnaireResponses to forms filled in once."""
